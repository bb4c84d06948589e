/// The version of all executables, which are released together.
package enum StackVersion {
    package static let text = "0.1.0"
}
