/// A value for one parameter of a statement; `nil` in its place binds NULL.
package protocol Bindable {
    /// Binds this value to parameter `index`, counted from 1.
    func bind(to statement: Statement, at index: Int) throws
}

extension Int64: Bindable {
    package func bind(to statement: Statement, at index: Int) throws { try statement.bind(self, at: index) }
}

extension Int: Bindable {
    package func bind(to statement: Statement, at index: Int) throws { try statement.bind(self, at: index) }
}

extension Bool: Bindable {
    package func bind(to statement: Statement, at index: Int) throws {
        try statement.bind(self ? 1 : 0, at: index)
    }
}

extension Double: Bindable {
    package func bind(to statement: Statement, at index: Int) throws { try statement.bind(self, at: index) }
}

extension String: Bindable {
    package func bind(to statement: Statement, at index: Int) throws { try statement.bind(self, at: index) }
}

extension [UInt8]: Bindable {
    package func bind(to statement: Statement, at index: Int) throws { try statement.bind(blob: self, at: index) }
}
