// NetworkSummary+Text.swift: the summary as a table for people, as JSON for programs, as a drawing for Graphviz.
// Not here: where the numbers come from (NetworkSummary.swift).

extension NetworkSummary {
    /// A table of the layers, then a line of totals.
    public var text: String {
        let head = ["layer", "operator", "output", "parameters", "MACs", "from"]
        let rows = layers.map { layer in
            [
                layer.name, layer.op, layer.outputShape.description, Self.grouped(layer.parameters),
                Self.grouped(layer.macs), layer.sources.joined(separator: " "),
            ]
        }
        let ports = inputs.map { "input \($0.name) \($0.shape)\n" } + outputs.map { "output \($0.name) \($0.shape)\n" }
        return TextTable(rows: [head] + rows, rightAligned: [3, 4]).text + ports.joined()
            + "\(layers.count) layers, \(Self.grouped(parameters)) parameters, \(Self.grouped(macs)) MACs, "
            + "\(Self.grouped(parameterBytes)) bytes of parameters, \(Self.grouped(activationBytes)) bytes of activations\n"
    }

    /// The summary as JSON: {"parameters", "statistics", "macs", "parameter_bytes", "activation_bytes", "input_shape", "output_shape" (of
    /// the first), "inputs", "outputs", "layers": [{"name", "op", "attributes", "inputs", "output_shape", "parameters", "statistics",
    /// "macs", "activation_bytes"}], "metadata"}; shapes are [N,H,W,C].
    public var jsonText: String { json.description }

    /// The summary as JSON.
    package var json: JSON {
        [
            "parameters": .integer(parameters), "statistics": .integer(statistics), "macs": .integer(macs),
            "parameter_bytes": .integer(parameterBytes), "activation_bytes": .integer(activationBytes),
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
        ]
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

// MARK: - Graphviz

extension NetworkSummary {
    /// A drawing in Graphviz's language: a box for each layer, its shape on each arrow.
    public var dot: String {
        var text = "digraph network {\n  node [shape=box, fontname=\"Helvetica\", fontsize=10];\n"
        text += "  edge [fontname=\"Helvetica\", fontsize=9];\n"
        var shapes: [String: Shape] = [:]
        for input in inputs {
            shapes[input.name] = input.shape
            text += "  \"\(input.name)\" [shape=ellipse];\n"
        }
        for layer in layers {
            shapes[layer.name] = layer.outputShape
            let attributes = layer.attributes.sorted { $0.key < $1.key }.map { "\\n\($0.key)=\($0.value)" }.joined()
            text += "  \"\(layer.name)\" [label=\"\(layer.name)\\n\(layer.op)\(attributes)\"];\n"
            for source in layer.sources {
                let label = shapes[source].map { "\($0.h)x\($0.w)x\($0.c)" } ?? ""
                text += "  \"\(source)\" -> \"\(layer.name)\" [label=\"\(label)\"];\n"
            }
        }
        for (index, output) in outputs.enumerated() {
            text += "  \"output \(index)\" [shape=ellipse];\n"
            text += "  \"\(output.name)\" -> \"output \(index)\";\n"
        }
        return text + "}\n"
    }
}
