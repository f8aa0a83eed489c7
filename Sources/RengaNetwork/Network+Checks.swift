// Network+Checks.swift: what must hold before a network exists at all.
// Not here: limits of any one operator (its shape rule) or of a plan.

extension Network {
    /// Inputs, names, arity and order: every node reads only what stands before it.
    func checkStructure() throws(RengaError) {
        guard !inputs.isEmpty else { throw RengaError(.invalidArgument, "a network needs at least one input") }
        guard !outputs.isEmpty else { throw RengaError(.invalidArgument, "a network needs at least one output") }
        var names = Set<String>()
        for input in inputs {
            try Network.checkName(input.name)
            guard names.insert(input.name).inserted else {
                throw RengaError(.invalidArgument, "the name '\(input.name)' is used twice")
            }
        }
        for (index, node) in nodes.enumerated() {
            try Network.checkName(node.name)
            guard names.insert(node.name).inserted else {
                throw RengaError(.invalidArgument, "the name '\(node.name)' is used twice")
            }
            try checkInputs(of: node, at: index)
        }
        let count = inputs.count + nodes.count
        for output in outputs where output < 0 || output >= count {
            throw RengaError(.invalidArgument, "output \(output) is not a value of the network (0..<\(count))")
        }
    }

    private func checkInputs(of node: Node, at index: Int) throws(RengaError) {
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

    /// Every parameter of every node is there with its role and dimensions, and no other.
    func checkParameters() throws(RengaError) {
        let shapes = try shapes(n: 1)
        var known = Set<String>()
        for index in nodes.indices {
            for (name, spec) in try parameterSpecs(ofNode: index, shapes: shapes) {
                known.insert(name)
                guard let parameter = parameters[name] else {
                    throw RengaError(.notFound, "parameter '\(name)' \(spec.dimensions) is missing")
                }
                guard parameter.tensor.dimensions == spec.dimensions, parameter.role == spec.role else {
                    throw RengaError(
                        .shapeMismatch,
                        "parameter '\(name)': expected \(spec.role.rawValue) \(spec.dimensions), "
                            + "got \(parameter.role.rawValue) \(parameter.tensor.dimensions)")
                }
            }
        }
        for name in parameters.keys.sorted() where !known.contains(name) {
            throw RengaError(.invalidArgument, "parameter '\(name)' belongs to no layer")
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
