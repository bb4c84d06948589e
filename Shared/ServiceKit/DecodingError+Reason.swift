import Foundation

extension DecodingError {
    /// Why the text is no JSON, with the position if the decoder gives one.
    var underlyingReason: String {
        guard case .dataCorrupted(let context) = self else { return "unexpected value" }
        let error = context.underlyingError as NSError?
        return error?.userInfo[NSDebugDescriptionErrorKey] as? String ?? context.debugDescription
    }
}
