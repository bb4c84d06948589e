import Glibc

/// A system call that failed: which one, and how (errno(3)).
package struct SystemCallError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The call, such as `epoll_ctl add`.
    package let call: String
    /// `errno` after it.
    package let code: Int32

    package init(_ call: String, code: Int32 = errno) {
        self.call = call
        self.code = code
    }

    package var description: String { "\(call): \(String(cString: strerror(code))) (\(code))" }
}
