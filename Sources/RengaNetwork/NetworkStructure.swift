// NetworkStructure.swift: a network without its numbers: inputs, operators in topological order, outputs; and questions to that graph.
// Not here: parameters (Network.swift), text forms (NetworkDescription.swift, NetworkSummary.swift).

/// A checked graph of operators. A value: everything about a network that its shape rules and its parameters' dimensions follow from.
public struct NetworkStructure: Sendable {
    /// The inputs, values 0 ..< inputs.count.
    public let inputs: [NetworkInput]
    /// The operators; each reads only values before its own.
    public let nodes: [Node]
    /// The values that a run returns, at least one.
    public let outputs: [ValueID]
    /// Shapes for one image of the network's own size, and the parameters that follow from them: asked for all the time.
    private var ownShapes: [Shape] = []
    private var ownSpecs: [[(String, ParameterSpec)]] = []

    /// Checks topology, names, arity and shapes, and makes the structure, or says what is wrong.
    public init(inputs: [NetworkInput], nodes: [Node], outputs: [ValueID]) throws(RengaError) {
        self.inputs = inputs
        self.nodes = nodes
        self.outputs = outputs
        try checkTopology()
        let shapes = try shapes(n: 1)
        ownSpecs = try nodes.indices.map { index throws(RengaError) in
            try parameterSpecs(ofNode: index, shapes: shapes)
        }
        ownShapes = shapes
    }

    /// Shapes of all values (inputs first) for a batch of `n`, at the inputs' own image size or at `h` x `w`.
    public func shapes(n: Int, h: Int? = nil, w: Int? = nil) throws(RengaError) -> [Shape] {
        if n == 1, h == nil, w == nil, !ownShapes.isEmpty { return ownShapes }
        var shapes: [Shape] = []
        shapes.reserveCapacity(inputs.count + nodes.count)
        for input in inputs {
            let shape = Shape(n: n, h: h ?? input.h, w: w ?? input.w, c: input.c)
            shapes.append(try shape.validated("input '\(input.name)'"))
        }
        for node in nodes {
            let sources = node.inputs.map { shapes[$0] }
            do {
                let shape = try node.op.outputShape(sources)
                shapes.append(try shape.validated("output"))
            } catch {
                throw RengaError(error.status, "layer '\(node.name)' (\(node.op.name)): \(error.message)")
            }
        }
        return shapes
    }

    /// The parameter names of a node, in the operator's order, with their specifications.
    public func parameterSpecs(ofNode index: Int, shapes: [Shape]) throws(RengaError) -> [(String, ParameterSpec)] {
        guard nodes.indices.contains(index), shapes.count == inputs.count + nodes.count else {
            throw RengaError(.invalidArgument, "there is no layer \(index) with \(shapes.count) shapes")
        }
        // The same array, or one that differs at its beginning: the comparison takes no time.
        if shapes == ownShapes { return ownSpecs[index] }
        let node = nodes[index]
        do {
            let specs = try node.op.parameters(node.inputs.map { shapes[$0] })
            return specs.map { ("\(node.name).\($0.name)", $0) }
        } catch {
            throw RengaError(error.status, "layer '\(node.name)' (\(node.op.name)): \(error.message)")
        }
    }
}

// MARK: - Questions to the graph

extension NetworkStructure {
    /// The number of values: inputs and nodes.
    public var valueCount: Int { inputs.count + nodes.count }

    /// The value that node `index` makes.
    public func value(ofNode index: Int) -> ValueID { inputs.count + index }

    /// The node that makes a value; nil for an input.
    public func node(making value: ValueID) -> Int? {
        value >= inputs.count && value < valueCount ? value - inputs.count : nil
    }

    /// The name of the input or node that makes a value.
    public func name(of value: ValueID) -> String {
        if let index = node(making: value) { return nodes[index].name }
        return inputs.indices.contains(value) ? inputs[value].name : "?"
    }

    /// For each value the nodes that read it, ascending; a node that reads it twice stands there twice.
    public func consumers() -> [[Int]] {
        var consumers = [[Int]](repeating: [], count: valueCount)
        for (index, node) in nodes.enumerated() {
            for source in node.inputs { consumers[source].append(index) }
        }
        return consumers
    }

    /// For each value whether a run returns it.
    public func isOutput() -> [Bool] {
        var isOutput = [Bool](repeating: false, count: valueCount)
        for output in outputs { isOutput[output] = true }
        return isOutput
    }
}

// MARK: - Checks

extension NetworkStructure {
    /// Inputs, names, arity and order: every node reads only what stands before it.
    private func checkTopology() throws(RengaError) {
        guard !inputs.isEmpty else { throw RengaError(.invalidArgument, "a network needs at least one input") }
        guard !outputs.isEmpty else { throw RengaError(.invalidArgument, "a network needs at least one output") }
        var names = Set<String>()
        for name in inputs.map(\.name) + nodes.map(\.name) {
            try Self.checkName(name)
            guard names.insert(name).inserted else {
                throw RengaError(.invalidArgument, "the name '\(name)' is used twice")
            }
        }
        for index in nodes.indices { try checkInputs(ofNode: index) }
        for output in outputs where output < 0 || output >= valueCount {
            throw RengaError(.invalidArgument, "output \(output) is not a value of the network (0..<\(valueCount))")
        }
    }

    private func checkInputs(ofNode index: Int) throws(RengaError) {
        let node = nodes[index]
        let arity = type(of: node.op).arity
        guard arity.allows(node.inputs.count) else {
            throw RengaError(
                .invalidArgument,
                "layer '\(node.name)' (\(node.op.name)): expected \(arity.words) inputs, got \(node.inputs.count)")
        }
        for input in node.inputs where input < 0 || input >= inputs.count + index {
            throw RengaError(
                .invalidArgument,
                "layer '\(node.name)' reads value \(input); only 0..<\(inputs.count + index) exist before it")
        }
    }

    /// Names are 1 to 200 bytes of letters, digits and `_ - . / :`.
    static func checkName(_ name: String) throws(RengaError) {
        let allowed = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "/"), UInt8(ascii: ":"):
                true
            default: false
            }
        }
        guard allowed, !name.isEmpty, name.utf8.count <= 200 else {
            throw RengaError(
                .invalidArgument,
                "the name '\(name.prefix(200))' must be 1 to 200 letters, digits or any of _ - . / :")
        }
    }
}

extension Arity {
    /// Whether a node may have this many inputs.
    func allows(_ inputs: Int) -> Bool {
        switch self {
        case .exactly(let count): inputs == count
        case .atLeast(let count): inputs >= count && inputs <= Network.mostInputs
        }
    }

    /// "1", "2 to 64": the middle of "expected … inputs".
    var words: String {
        switch self {
        case .exactly(let count): "\(count)"
        case .atLeast(let count): "\(count) to \(Network.mostInputs)"
        }
    }
}
