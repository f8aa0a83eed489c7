// NetworkDrawing.swift: a network as a drawing in Graphviz's language that a person can read: modules as frames, streams as lanes, what
// runs in a row (convolution, batch norm, ReLU) in one box, sums as circles, gates as diamonds.
// Not here: numbers of the network (NetworkSummary.swift).

extension NetworkSummary {
    /// A drawing in Graphviz's language (`dot -Tsvg`).
    public var dot: String { NetworkDrawing(self).text }
}

/// Boxes in nested frames, and the arrows between them.
struct NetworkDrawing {
    /// Layers that run in a row and are drawn as one.
    private struct Box {
        var layers: [NetworkSummary.Layer]
        /// The modules around it, outermost first: ["stage1", "block1", "branch2"].
        let place: [Substring]

        var id: String { layers[0].name }
    }

    private let summary: NetworkSummary
    private var boxes: [Box] = []
    /// The box of each layer, by name.
    private var owner: [String: Int] = [:]
    private var shapes: [String: Shape] = [:]
    /// Whether some module is called "branch1", "branch2", …: then numbers name streams.
    private let hasStreams: Bool

    init(_ summary: NetworkSummary) {
        self.summary = summary
        hasStreams = summary.layers.contains { Self.place(of: $0.name).contains { $0.hasPrefix("branch") } }
        for input in summary.inputs { shapes[input.name] = input.shape }
        var readers: [String: Int] = [:]
        for name in summary.layers.flatMap(\.sources) + summary.outputs.map(\.name) { readers[name, default: 0] += 1 }
        for layer in summary.layers {
            shapes[layer.name] = layer.outputShape
            let place = Self.place(of: layer.name)
            // Behind its only source, in the same module, of whom it is the only reader.
            if Self.followers.contains(layer.op), layer.sources.count == 1, readers[layer.sources[0]] == 1,
                let index = owner[layer.sources[0]], boxes[index].place == place
            {
                boxes[index].layers.append(layer)
                owner[layer.name] = index
            } else {
                owner[layer.name] = boxes.count
                boxes.append(Box(layers: [layer], place: place))
            }
        }
    }

    /// Operators that are drawn in the box of what they follow.
    private static let followers: Set<String> = [BatchNorm.name, ReLU.name, PReLU.name, Dropout.name, Flatten.name]

    private static func place(of name: String) -> [Substring] { Array(name.split(separator: ".").dropLast()) }
}

// MARK: - Text

extension NetworkDrawing {
    var text: String {
        var text = """
            digraph network {
              graph [fontname="Helvetica", fontsize=11, nodesep=0.25, ranksep=0.3, color="#888888"];
              node [shape=box, style="rounded,filled", fillcolor="#f4f4f4", color="#555555", fontname="Helvetica", fontsize=10, margin="0.08,0.04"];
              edge [fontname="Helvetica", fontsize=9, color="#555555", arrowsize=0.6];

            """
        for input in summary.inputs {
            text += "  \"\(input.name)\" [shape=ellipse, label=\"\(input.name)\\n\(Self.size(input.shape))\"];\n"
        }
        text += frame(boxes.indices.map { $0 }, depth: 0)
        for box in boxes {
            for source in box.layers[0].sources { text += arrow(from: source, to: box) }
        }
        for (index, output) in summary.outputs.enumerated() {
            text += "  \"output \(index)\" [shape=ellipse, label=\"output\\n\(Self.size(output.shape))\"];\n"
            text += "  \"\(id(of: output.name))\" -> \"output \(index)\";\n"
        }
        return text + "}\n"
    }

    /// The boxes of one module: those that lie in it directly, and a frame for each module in it. Boxes of a module stand together.
    private func frame(_ members: [Int], depth: Int) -> String {
        let indent = String(repeating: "  ", count: depth + 1)
        var text = ""
        var order: [Substring] = []
        var inner: [Substring: [Int]] = [:]
        for index in members {
            guard boxes[index].place.count > depth else {
                text += indent + node(boxes[index])
                continue
            }
            let module = boxes[index].place[depth]
            if inner[module] == nil { order.append(module) }
            inner[module, default: []].append(index)
        }
        for module in order {
            guard let members = inner[module], let first = members.first else { continue }
            let path = boxes[first].place.prefix(depth + 1).joined(separator: ".")
            text += "\(indent)subgraph \"cluster_\(path)\" {\n"
            // Streams and ways around are lanes: dotted, so that the modules around them stand out.
            let style = depth < 2 ? "style=rounded" : "style=\"rounded,dotted\""
            text += "\(indent)  label=\"\(module)\"; labeljust=l; \(style);\n"
            text += frame(members, depth: depth + 1) + "\(indent)}\n"
        }
        return text
    }

    private func arrow(from source: String, to box: Box) -> String {
        let from = id(of: source)
        // An arrow inside one lane keeps it straight.
        let lane = lane(of: box)
        let isStraight = lane != nil && owner[source].flatMap { self.lane(of: boxes[$0]) } == lane
        return "  \"\(from)\" -> \"\(box.id)\"\(isStraight ? " [weight=8]" : "");\n"
    }

    private func id(of name: String) -> String { owner[name].map { boxes[$0].id } ?? name }

    /// The number of the stream that a box belongs to; nil for what all share.
    private func lane(of box: Box) -> Int? {
        guard hasStreams else { return nil }
        for part in box.place.reversed() {
            for word in ["branch", "shortcut"] where part.hasPrefix(word) { return Int(part.dropFirst(word.count)) }
        }
        let name = box.id.split(separator: ".").last ?? ""
        for word in [Add.name, ReLU.name] where name.hasPrefix(word) { return Int(name.dropFirst(word.count)) }
        return nil
    }
}

// MARK: - Boxes

extension NetworkDrawing {
    /// One colour a stream.
    private static let lanes = ["#d6e6f7", "#fbe0c8", "#d8efd3", "#eadcf3", "#f7d6dc", "#d3eeee", "#f2ecc4", "#e3e3e3"]

    private func node(_ box: Box) -> String {
        let first = box.layers[0]
        var words = box.layers.map(word)
        let shape = box.layers[box.layers.count - 1].outputShape
        if first.sources.isEmpty || shapes[first.sources[0]].map(Self.size) != Self.size(shape) {
            words.append(Self.size(shape))
        }
        var look = "label=\"\(words.joined(separator: "\\n"))\""
        if first.op == Add.name || first.op == Mean.name || first.op == Concat.name { look += ", shape=ellipse" }
        if first.op == StochasticGate.name { look += ", shape=diamond, style=filled, fillcolor=\"#f9c9c9\", margin=0" }
        if let lane = lane(of: box), lane > 0 {
            look += ", group=\"stream\(lane)\""
            if first.op != StochasticGate.name {
                look += ", fillcolor=\"\(Self.lanes[(lane - 1) % Self.lanes.count])\""
            }
        }
        return "\"\(box.id)\" [\(look), tooltip=\"\(box.layers.map(\.name).joined(separator: ", "))\"];\n"
    }

    /// "conv 3x3, 64, stride 2": what a layer does.
    private func word(_ layer: NetworkSummary.Layer) -> String {
        let attributes = layer.attributes
        func both(_ name: String) -> String? {
            attributes[name] ?? attributes["\(name)_h"].flatMap { h in attributes["\(name)_w"].map { "\(h)x\($0)" } }
        }
        let kernel = both("kernel").map { $0.contains("x") ? $0 : "\($0)x\($0)" } ?? ""
        let stride = both("stride").map { ", stride \($0)" } ?? ""
        switch layer.op {
        case Convolution.name:
            let groups = attributes["groups"].map { ", \($0) groups" } ?? ""
            return "conv \(kernel), \(layer.outputShape.c)\(stride)\(groups)"
        case Linear.name: return "linear, \(layer.outputShape.c)"
        case BatchNorm.name: return "batch norm"
        case ReLU.name: return "ReLU"
        case Add.name: return "+"
        case ChannelPad.name: return "zero channels"
        case MaxPool.name: return "max \(kernel)\(stride)"
        case AveragePool.name: return "average \(kernel)\(stride)"
        case GlobalAveragePool.name: return "average of all pixels"
        case StochasticGate.name: return gate(layer)
        default:
            let options = attributes.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            return ([layer.op.split(separator: "_").joined(separator: " ")] + options).joined(separator: "\\n")
        }
    }

    /// "gates, open 83 %, 70 %, channels 0-15, 16-18".
    private func gate(_ layer: NetworkSummary.Layer) -> String {
        guard let gate = try? StochasticGate(attributes: layer.attributes) else { return "gate" }
        // Survival probabilities lie within `StochasticGate.survivals`.
        let survivals = gate.survivals.map { "\(Int(($0 * 100).rounded())) %" }.joined(separator: ", ")
        guard gate.split > 0 else { return "gate\\nopen \(survivals)" }
        let channels = gate.channels(layer.outputShape.c).map { "\($0.lowerBound)-\($0.upperBound - 1)" }
        return "gates\\nopen \(survivals)\\nchannels \(channels.joined(separator: ", "))"
    }

    private static func size(_ shape: Shape) -> String { "\(shape.h)x\(shape.w)x\(shape.c)" }
}
