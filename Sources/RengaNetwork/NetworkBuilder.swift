// NetworkBuilder.swift: a network made layer by layer; each layer is checked as it comes, and errors name it.
// Not here: whole families of networks (RengaArchitectures), running any of it.
import Glibc

/// Collects inputs and layers, knows every shape at once, and makes networks with initial parameters. A value.
public struct NetworkBuilder: Sendable {
    /// The inputs so far.
    public private(set) var inputs: [NetworkInput] = []
    /// The layers so far.
    public private(set) var nodes: [Node] = []
    /// Free-form text for the network.
    public var metadata: [String: String] = [:]
    /// Shapes of all values for one image.
    private var shapes: [Shape] = []
    private var names = Set<String>()
    /// Last number given to a made-up name of each operator.
    private var numbers: [String: Int] = [:]

    /// An empty builder.
    public init() {}

    /// The number of values so far.
    public var valueCount: Int { shapes.count }

    /// Adds an input of `[N,h,w,c]`. All inputs come before the first layer.
    public mutating func addInput(_ name: String = "input", h: Int, w: Int, c: Int) throws(RengaError) -> ValueID {
        guard nodes.isEmpty else {
            throw RengaError(.invalidArgument, "input '\(name.prefix(200))' comes after a layer; inputs come first")
        }
        try claim(name)
        shapes.append(try Shape(n: 1, h: h, w: w, c: c).validated("input '\(name)'"))
        inputs.append(NetworkInput(name: name, h: h, w: w, c: c))
        names.insert(name)
        return shapes.count - 1
    }

    /// Adds a layer that reads `sources`, and returns the value that it makes. Without a name it gets one: "relu_3".
    /// Errors name the layer; the builder then stays as it was.
    @discardableResult
    public mutating func add(
        _ op: some Operator, name: String? = nil, _ sources: ValueID...
    ) throws(RengaError) -> ValueID {
        try add(op, name: name, sources: sources)
    }

    /// The same with the sources as an array.
    @discardableResult
    public mutating func add(
        _ op: any Operator, name: String? = nil, sources: [ValueID]
    ) throws(RengaError) -> ValueID {
        let (name, number): (String, Int?) = if let name { (name, nil) } else { unusedName(op.name) }
        try claim(name)
        do {
            let inputs = try shapes(of: sources, for: op)
            let shape = try op.outputShape(inputs).validated("output")
            _ = try op.parameters(inputs)
            shapes.append(shape)
        } catch {
            throw RengaError(error.status, "layer '\(name)' (\(op.name)): \(error.message)")
        }
        nodes.append(Node(name: name, op: op, inputs: sources))
        names.insert(name)
        // Only now: a layer's name decides its initial weights, so a refused layer must not use one up.
        if let number { numbers[op.name] = number }
        return shapes.count - 1
    }

    /// Adds a layer by the operator's name and attributes, as ``OperatorTable`` knows them.
    @discardableResult
    public mutating func add(
        operator operatorName: String, _ attributes: Attributes, name: String? = nil, sources: [ValueID]
    ) throws(RengaError) -> ValueID {
        let op: any Operator
        do {
            op = try OperatorTable.make(operatorName, attributes)
        } catch {
            guard let name else { throw error }
            throw RengaError(error.status, "layer '\(name.prefix(200))': \(error.message)")
        }
        return try add(op, name: name, sources: sources)
    }

    /// The shape of a value for one image.
    public func shape(of value: ValueID) throws(RengaError) -> Shape {
        guard shapes.indices.contains(value) else {
            throw RengaError(.invalidArgument, "there is no value \(value); \(shapes.count) exist, counted from 0")
        }
        return shapes[value]
    }

    /// The graph so far.
    public func structure(outputs: [ValueID]) throws(RengaError) -> NetworkStructure {
        try NetworkStructure(inputs: inputs, nodes: nodes, outputs: outputs)
    }

    /// Makes the network with initial parameters. The builder stays usable.
    /// Errors: `outOfMemory` (also where the parameters would take more than the machine has), `notFound` (the initialisation names a
    /// parameter that is not there), those of ``structure(outputs:)``.
    public func build(
        outputs: [ValueID], initialization: Initialization = .heFanIn, seed: UInt64 = 0
    ) throws(RengaError) -> Network {
        let structure = try structure(outputs: outputs)
        var layers: [(name: String, specs: [ParameterSpec])] = []
        for node in nodes { layers.append((node.name, try node.op.parameters(node.inputs.map { shapes[$0] }))) }
        try checkMemory(layers.flatMap(\.specs))
        var parameters: [String: Parameter] = [:]
        for layer in layers {
            for spec in layer.specs {
                let name = "\(layer.name).\(spec.name)"
                let tensor = try initialization.values(of: spec, fullName: name, siblings: layer.specs, seed: seed)
                parameters[name] = Parameter(role: spec.role, tensor: tensor)
            }
        }
        for name in initialization.overrides.keys.sorted() where parameters[name] == nil {
            throw RengaError(.notFound, "the initialization names '\(name)', which is no parameter of the network")
        }
        return try Network(structure: structure, parameters: parameters, metadata: metadata)
    }

    /// Systems promise more memory than they have and end processes that use it: better an error before the first byte.
    private func checkMemory(_ specs: [ParameterSpec]) throws(RengaError) {
        let bytes = specs.map(\.count).saturatingSum.saturatingTimes(MemoryLayout<Float>.stride)
        let machine = max(0, sysconf(Int32(_SC_PHYS_PAGES))).saturatingTimes(max(0, sysconf(Int32(_SC_PAGESIZE))))
        guard bytes <= machine else {
            throw RengaError(
                .outOfMemory, "the network's parameters take \(bytes) bytes, the machine has only \(machine)")
        }
    }
}

// MARK: - Checks

extension NetworkBuilder {
    private func claim(_ name: String) throws(RengaError) {
        try NetworkStructure.checkName(name)
        guard !names.contains(name) else {
            throw RengaError(.invalidArgument, "the name '\(name)' is used twice")
        }
    }

    private func unusedName(_ operatorName: String) -> (String, Int?) {
        var number = numbers[operatorName, default: 0] + 1
        while names.contains("\(operatorName)_\(number)") { number += 1 }
        return ("\(operatorName)_\(number)", number)
    }

    private func shapes(of sources: [ValueID], for op: any Operator) throws(RengaError) -> [Shape] {
        let arity = type(of: op).arity
        guard arity.allows(sources.count) else {
            throw RengaError(.invalidArgument, "expected \(arity.words) inputs, got \(sources.count)")
        }
        var found: [Shape] = []
        for source in sources { found.append(try shape(of: source)) }
        return found
    }
}
