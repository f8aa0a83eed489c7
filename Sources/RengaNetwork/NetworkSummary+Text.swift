// NetworkSummary+Text.swift: the summary as a table for people, as JSON for programs.
// Not here: where the numbers come from (NetworkSummary.swift), the drawing (NetworkDrawing.swift).

extension NetworkSummary {
    /// A table of the layers, then a line of totals.
    public var text: String {
        let head = ["layer", "operator", "output", "parameters", "MACs", "bytes", "path", "from"]
        let rows = layers.map { layer in
            [
                layer.name, layer.op, layer.outputShape.description, Self.grouped(layer.parameters),
                Self.grouped(layer.macs), Self.grouped(layer.activationBytes), Self.rounded(layer.pathLength.mean),
                layer.sources.joined(separator: " "),
            ]
        }
        let ports = inputs.map { "input \($0.name) \($0.shape)\n" } + outputs.map { "output \($0.name) \($0.shape)\n" }
        return TextTable(rows: [head] + rows, rightAligned: [3, 4, 5, 6]).text + ports.joined()
            + "\(layers.count) layers, \(Self.grouped(parameters)) parameters, \(Self.grouped(macs)) MACs, "
            + "\(Self.grouped(parameterBytes)) bytes of parameters, \(Self.grouped(activationBytes)) bytes of activations, "
            + "\(Self.rounded(pathLength.mean)) ± \(Self.rounded(pathLength.deviation)) layers with weights along a path\n"
    }

    /// The summary as JSON: {"parameters", "statistics", "macs", "parameter_bytes", "activation_bytes", "path_length": {"mean", "deviation"},
    /// "input_shape", "output_shape" (of the first), "inputs", "outputs", "layers": [{"name", "op", "attributes", "inputs", "output_shape",
    /// "parameters", "statistics", "macs", "activation_bytes", "path_length" (the mean)}], "metadata"}; shapes are [N,H,W,C].
    public var jsonText: String { json.description }

    /// The summary as JSON.
    package var json: JSON {
        [
            "parameters": .integer(parameters), "statistics": .integer(statistics), "macs": .integer(macs),
            "parameter_bytes": .integer(parameterBytes), "activation_bytes": .integer(activationBytes),
            "path_length": ["mean": .number(pathLength.mean), "deviation": .number(pathLength.deviation)],
            "input_shape": inputs.first.map { Self.json($0.shape) } ?? .null,
            "output_shape": outputs.first.map { Self.json($0.shape) } ?? .null,
            "inputs": .list(inputs.map(Self.json)), "outputs": .list(outputs.map(Self.json)),
            "layers": .list(layers.map(Self.json)), "metadata": .texts(metadata),
        ]
    }

    private static func json(_ shape: Shape) -> JSON {
        [.integer(shape.n), .integer(shape.h), .integer(shape.w), .integer(shape.c)]
    }

    private static func json(_ port: Port) -> JSON {
        ["name": .text(port.name), "shape": json(port.shape)]
    }

    private static func json(_ layer: Layer) -> JSON {
        [
            "name": .text(layer.name), "op": .text(layer.op), "attributes": .texts(layer.attributes),
            "inputs": .list(layer.sources.map { .text($0) }), "output_shape": json(layer.outputShape),
            "parameters": .integer(layer.parameters), "statistics": .integer(layer.statistics),
            "macs": .integer(layer.macs), "activation_bytes": .integer(layer.activationBytes),
            "path_length": .number(layer.pathLength.mean),
        ]
    }

    /// A number of layers to two places: "8.67".
    static func rounded(_ number: Double) -> String {
        let hundredths = Int(exactly: (number * 100).rounded()) ?? 0
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }

    /// 1234567 as "1,234,567".
    static func grouped(_ number: Int) -> String {
        var text = ""
        for (index, digit) in String(number).reversed().enumerated() {
            if index > 0, index % 3 == 0, digit != "-" { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }
}
