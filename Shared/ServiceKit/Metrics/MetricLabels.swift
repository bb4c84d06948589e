/// A series' labels in their written order: `{method="GET",status="200"}`.
package struct MetricLabels: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// The text form, escaped (Prometheus text format 0.0.4); empty without labels.
    let text: String

    package init(dictionaryLiteral elements: (String, String)...) {
        self.init(elements)
    }

    package init(_ pairs: [(String, String)]) {
        text = pairs.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
    }

    /// The labels in braces with one more at the end.
    func braced(adding extra: String = "") -> String {
        let all = [text, extra].filter { !$0.isEmpty }.joined(separator: ",")
        return all.isEmpty ? "" : "{\(all)}"
    }

    private static func escaped(_ value: String) -> String {
        var result = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
