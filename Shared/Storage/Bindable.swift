/// What a statement's `?` can be given. `nil` binds NULL.
package protocol Bindable {
    /// Binds this value to parameter `index`, counted from 1.
    func bind(to statement: Statement, at index: Int) throws
}

extension Int64: Bindable {
    package func bind(to statement: Statement, at index: Int) throws { try statement.bind(self, at: index) }
}

extension Int: Bindable {
    package func bind(to statement: Statement, at index: Int) throws { try statement.bind(Int64(self), at: index) }
}

extension Bool: Bindable {
    package func bind(to statement: Statement, at index: Int) throws { try statement.bind(Int64(self ? 1 : 0), at: index) }
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
