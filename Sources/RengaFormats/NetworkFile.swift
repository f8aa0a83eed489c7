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
        try self.init(SafetensorsFile(path: path), name: "'\(path)'")
    }

    /// Reads the same from memory; `bytes` are read during the call only.
    public init(bytes: UnsafeRawBufferPointer) throws(RengaError) {
        try self.init(SafetensorsFile(bytes: bytes), name: "the file in memory")
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
    private init(_ file: SafetensorsFile, name: String) throws(RengaError) {
        guard let format = file.metadata[NetworkFile.formatKey], let version = Int(format),
            let description = file.metadata[NetworkFile.networkKey]
        else {
            throw RengaError(
                .corruptData,
                "\(name) is a safetensors file, but not of a Renga network: renga.format or "
                    + "renga.network is missing")
        }
        guard version <= NetworkFile.version else {
            throw RengaError(
                .unsupported, "\(name) has format version \(version), newer than this library's \(NetworkFile.version)")
        }
        guard file.isVerified else {
            throw RengaError(.corruptData, "\(name) is a Renga network without its checksums")
        }
        do {
            (network, tensors) = try NetworkFile.network(NetworkDescription(parsing: description), file.tensors)
        } catch {
            guard error.status != .unsupported, error.status != .outOfMemory else { throw error }
            throw RengaError(.corruptData, "\(name): \(error.message)")
        }
        metadata = file.metadata.filter { !$0.key.hasPrefix(NetworkFile.reserved) }
    }

    /// The network of a description with the tensors that it names, and the others.
    private static func network(
        _ description: NetworkDescription, _ all: [String: Tensor]
    ) throws(RengaError) -> (Network, [String: Tensor]) {
        var rest = all
        var parameters: [String: Parameter] = [:]
        let structure = description.structure
        let shapes = try structure.shapes(n: 1)
        for index in structure.nodes.indices {
            for (name, spec) in try structure.parameterSpecs(ofNode: index, shapes: shapes) {
                guard let tensor = rest.removeValue(forKey: name) else { continue }
                parameters[name] = Parameter(role: spec.role, tensor: tensor)
            }
        }
        var tensors: [String: Tensor] = [:]
        for (name, tensor) in rest {
            guard name.hasPrefix(extra) else {
                throw RengaError(.corruptData, "tensor '\(name.prefix(200))' belongs to no layer")
            }
            tensors[String(name.dropFirst(extra.count))] = tensor
        }
        // Missing parameters and wrong dimensions are found here.
        let network = try Network(structure: structure, parameters: parameters, metadata: description.metadata)
        return (network, tensors)
    }
}
