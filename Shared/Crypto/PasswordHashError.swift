/// Why a password could not be hashed or compared.
package enum PasswordHashError: Error, Sendable, Equatable {
    /// A NUL byte would end the password early for the C library, so that other passwords would match it.
    case passwordContainsNUL
    /// Longer than the C library takes: `PasswordHash.passwordBytesMax`.
    case passwordTooLong
    /// What is stored is not a hash that the C library knows.
    case storedHashMalformed
    /// The C library refused: `errno` of `call`.
    case systemCall(String, errno: Int32)
}
