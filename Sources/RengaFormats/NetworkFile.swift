// NetworkFile.swift: a network, whole, in one safetensors file: `renga.format` (version), `renga.network` (its description as JSON),
// its parameters under their own names; and beside it whatever state a program wants to keep with it (a checkpoint's).
// Not here: the container (SafetensorsFile), the description (RengaNetwork).
import RengaNetwork

/// A network with what travels with it. Reading is all or nothing and checks everything: container, checksums, description, shapes.
public struct NetworkFile: Sendable {
    /// The version that this library writes, and the newest that it reads.
    public static let version = 1

    /// The network.
    public var network: Network
    /// Further tensors by name (optimiser state, …). In the file their names begin with `@`, which no layer's can.
    public var tensors: [String: Tensor]
    /// Further text by name; keys must not begin with `renga.`.
    public var metadata: [String: String]

    /// Puts a network together with what shall travel with it.
    public init(_ network: Network, tensors: [String: Tensor] = [:], metadata: [String: String] = [:]) {
        self.network = network
        self.tensors = tensors
        self.metadata = metadata
    }

    /// Reads a file. Errors: fileError; corruptData (truncated, damaged, not a network file, shapes that do not fit the
    /// description); unsupported (a newer version); outOfMemory.
    public init(path: String) throws(RengaError) {
        try self.init(SafetensorsReader(InputFile(path: path)))
    }

    /// Reads the same from memory; `bytes` are read during the call only.
    public init(bytes: UnsafeRawBufferPointer) throws(RengaError) {
        try self.init(SafetensorsReader(MemorySource(bytes: bytes)))
    }

    /// Writes the file as ``SafetensorsFile/save(to:)`` does.
    public func save(to path: String) throws(RengaError) {
        try container().save(to: path)
    }

    /// Writes the same bytes to memory as ``SafetensorsFile/write(into:)`` does.
    public func write(
        into prepare: (Int) throws(RengaError) -> UnsafeMutableRawBufferPointer
    ) throws(RengaError) {
        try container().write(into: prepare)
    }

    private static let reserved = "renga."
    private static let formatKey = "renga.format"
    private static let networkKey = "renga.network"
    private static let extra = "@"

    private func container() throws(RengaError) -> SafetensorsFile {
        var all: [String: Tensor] = [:]
        for (name, parameter) in network.parameters { all[name] = parameter.tensor }
        for (name, tensor) in tensors { all[NetworkFile.extra + name] = tensor }
        for key in metadata.keys where key.hasPrefix(NetworkFile.reserved) {
            throw RengaError(
                .invalidArgument, "the metadata key '\(key.prefix(200))' is reserved: it begins with renga.")
        }
        var texts = metadata
        texts[NetworkFile.formatKey] = String(NetworkFile.version)
        texts[NetworkFile.networkKey] = NetworkDescription(network).jsonText
        return SafetensorsFile(tensors: all, metadata: texts)
    }
}

// MARK: - Reading

extension NetworkFile {
    /// The network of a file with all parameters but its weights, and these by name, to be read later: in the network they have no values.
    /// What else the file holds (a checkpoint's state) is pending under its name in the file.
    /// Errors: those of ``init(path:)``, but for what is pending.
    package static func open(path: String) throws(RengaError) -> (network: Network, pending: [String: PendingTensor]) {
        let reader = try SafetensorsReader(InputFile(path: path))
        let (description, specs) = try description(of: reader)
        let weights = Set(specs.lazy.filter { $0.spec.role == .weight }.map(\.name))
        var pending: [String: PendingTensor] = [:]
        for entry in reader.entries where weights.contains(entry.name) || entry.name.hasPrefix(extra) {
            let tensor = PendingTensor(reader: reader, entry: entry)
            if tensor.count > 0 { pending[entry.name] = tensor }
        }
        var tensors = try reader.read(reader.entries.filter { pending[$0.name] == nil })
        for (name, tensor) in pending { tensors[name] = try Tensor(valuesElsewhere: tensor.entry.dimensions) }
        return (try network(reader, description, specs, tensors).network, pending)
    }

    private init(_ reader: SafetensorsReader) throws(RengaError) {
        let (description, specs) = try NetworkFile.description(of: reader)
        (network, tensors) = try NetworkFile.network(reader, description, specs, reader.read(reader.entries))
        metadata = reader.metadata.filter { !$0.key.hasPrefix(NetworkFile.reserved) }
    }

    private typealias NamedSpec = (name: String, spec: ParameterSpec)

    /// The description, and what parameters it needs.
    private static func description(
        of reader: SafetensorsReader
    ) throws(RengaError) -> (NetworkDescription, [NamedSpec]) {
        guard let format = reader.metadata[formatKey], let version = Int(format),
            let description = reader.metadata[networkKey]
        else {
            throw RengaError(
                .corruptData,
                "\(reader.name) is a safetensors file, but not of a Renga network: renga.format or "
                    + "renga.network is missing")
        }
        guard version <= NetworkFile.version else {
            throw RengaError(
                .unsupported,
                "\(reader.name) has format version \(version), newer than this library's \(NetworkFile.version)")
        }
        guard reader.isVerified else {
            throw RengaError(.corruptData, "\(reader.name) is a Renga network without its checksums")
        }
        return try naming(reader) { () throws(RengaError) in
            let description = try NetworkDescription(parsing: description)
            let structure = description.structure
            let shapes = try structure.shapes(n: 1)
            var specs: [NamedSpec] = []
            for index in structure.nodes.indices {
                specs += try structure.parameterSpecs(ofNode: index, shapes: shapes)
            }
            return (description, specs)
        }
    }

    /// What `body` finds wrong with the content names the file.
    private static func naming<Result>(
        _ reader: SafetensorsReader, _ body: () throws(RengaError) -> Result
    ) throws(RengaError) -> Result {
        do throws(RengaError) {
            return try body()
        } catch {
            guard error.status != .unsupported, error.status != .outOfMemory else { throw error }
            throw RengaError(.corruptData, "\(reader.name): \(error.message)")
        }
    }

    /// The network of a description with the tensors that it names (`specs`), and the others.
    private static func network(
        _ reader: SafetensorsReader, _ description: NetworkDescription, _ specs: [NamedSpec], _ all: [String: Tensor]
    ) throws(RengaError) -> (network: Network, tensors: [String: Tensor]) {
        var rest = all
        var parameters: [String: Parameter] = [:]
        for (name, spec) in specs {
            guard let tensor = rest.removeValue(forKey: name) else { continue }
            parameters[name] = Parameter(role: spec.role, tensor: tensor)
        }
        return try naming(reader) { () throws(RengaError) in
            var tensors: [String: Tensor] = [:]
            for (name, tensor) in rest {
                guard name.hasPrefix(extra) else {
                    throw RengaError(.corruptData, "tensor '\(name.prefix(200))' belongs to no layer")
                }
                tensors[String(name.dropFirst(extra.count))] = tensor
            }
            // Missing parameters and wrong dimensions are found here.
            let network = try Network(
                structure: description.structure, parameters: parameters, metadata: description.metadata)
            return (network, tensors)
        }
    }
}
