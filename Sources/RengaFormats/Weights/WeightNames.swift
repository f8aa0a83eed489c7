// WeightNames.swift: what our parameters are called in a file of weights by another program, and how they lie in it.
// Not here: reading and writing such a file (WeightFile.swift), torchvision's names (TorchvisionNames.swift).
public import RengaNetwork

/// A naming of weights: lines of a table, tried in order, then a naming for all parameters of which none speaks.
public struct WeightNames: Sendable {
    /// What parameters are called that no line names.
    enum Base: String, CaseIterable {
        /// As ours, and they lie as ours.
        case renga
        /// As the parameters of a PyTorch module whose layers have our layers' names: gamma is weight, beta bias, ….
        case pytorch
        /// As torchvision names the same architecture.
        case torchvision
    }

    let base: Base
    let lines: [NameLine]

    /// Reads a naming. Lines end with a newline or a comma: "renga" (also ""), "pytorch" or "torchvision"; and of a table "theirs=ours", "theirs="
    /// (these tensors of the file are left out) and "=ours" (these parameters stay as they are, whatever the file holds for them), where * stands for any characters,
    /// the same on both sides. With a table the base is pytorch, if not named. Lines that begin with # say nothing.
    /// Errors: invalidArgument, the sentence names the line.
    public init(text: String) throws(RengaError) {
        var lines: [NameLine] = []
        var base: Base?
        let parts = text.utf8.split(separator: UInt8(ascii: "\n")).flatMap { line in
            NameLine.trimmed(line).first == UInt8(ascii: "#") ? [] : line.split(separator: UInt8(ascii: ","))
        }
        for part in parts {
            let words = NameLine.trimmed(part)
            if words.isEmpty { continue }
            if let line = try NameLine(part) {
                lines.append(line)
                continue
            }
            let word = String(decoding: words, as: UTF8.self)
            guard base == nil, let known = Base(rawValue: word) else {
                throw RengaError(
                    .invalidArgument,
                    "the naming '\(word.prefix(200))' is neither a line theirs=ours nor one of "
                        + "\(Base.allCases.map(\.rawValue).joined(separator: ", ")), which may stand there once")
            }
            base = known
        }
        self.base = base ?? (lines.isEmpty ? .renga : .pytorch)
        self.lines = lines
    }
}

/// One parameter in the file: its name there and its axes.
struct WeightPlace {
    let ours: String
    let theirs: String
    /// Whether it stays as it is, whatever the file holds.
    let stays: Bool
    let axes: WeightAxes
}

extension WeightNames {
    /// Where all parameters of `network` stand, in its order.
    /// Errors: unsupported (torchvision has no such architecture; a flattened map whose order shows in an output).
    func places(_ network: Network) throws(RengaError) -> [WeightPlace] {
        let structure = network.structure
        let shapes = try network.shapes(n: 1)
        let flattened = FlattenedMaps(structure, shapes: shapes)
        if base != .renga, let node = flattened.fixed.min() {
            throw RengaError(
                .unsupported,
                "layer '\(structure.nodes[node].name)' flattens a map pixel by pixel, and more than linear layers read it: PyTorch, which "
                    + "flattens channel by channel, has no such network")
        }
        let layers = try base == .torchvision ? TorchvisionNames.layers(network) : [:]
        var places: [WeightPlace] = []
        for (index, node) in structure.nodes.enumerated() {
            for (name, spec) in try structure.parameterSpecs(ofNode: index, shapes: shapes) {
                let leaf = WeightNames.pytorchLeaf(spec.role)
                let named = base == .renga ? name : "\(layers[node.name] ?? node.name).\(leaf)"
                let axes =
                    base == .renga
                    ? WeightAxes(same: spec.dimensions)
                    : WeightAxes(spec, of: node, flattened: flattened.maps[node.inputs[0]])
                let spoken = theirs(name, "\(node.name).\(leaf)")
                let theirs = spoken.flatMap { $0.isEmpty ? nil : $0 } ?? named
                places.append(WeightPlace(ours: name, theirs: theirs, stays: spoken == "", axes: axes))
            }
        }
        return places
    }

    /// What the first line says that speaks of the parameter, by its own name or PyTorch's: "" that it stays.
    private func theirs(_ name: String, _ pytorchName: String) -> String? {
        for line in lines where !line.ours.isEmpty {
            if let theirs = line.theirs(for: pytorchName) ?? line.theirs(for: name) { return theirs }
        }
        return nil
    }

    /// What PyTorch calls a parameter of a layer.
    private static func pytorchLeaf(_ role: ParameterRole) -> String {
        switch role {
        case .weight, .gamma, .slope: "weight"
        case .bias, .beta: "bias"
        case .runningMean: "running_mean"
        case .runningVariance: "running_var"
        }
    }

    /// Whether a tensor of a file may be there though it is no parameter: what a line leaves out, PyTorch's counters of batches, and
    /// beside our own parameters the state of a training.
    func mayStandBeside(_ tensor: String) -> Bool {
        if lines.contains(where: { $0.leavesOut(tensor) }) { return true }
        return base == .renga ? tensor.hasPrefix("@") : tensor.hasSuffix(".num_batches_tracked")
    }
}
