// NetworkDescription.swift: the structure of a network as JSON and back: what a network file says about the tensors that it holds.
// Not here: tensors and files (RengaFormats), descriptions for people (NetworkSummary.swift).

/// The structure and metadata of a network, without its numbers; reads and writes JSON.
///
///     {"format": "renga-network", "version": 1, "inputs": [{"name": "input", "h": 32, "w": 32, "c": 3}],
///      "nodes": [{"name": "fc", "op": "linear", "attributes": {"channels": "10"}, "inputs": ["pool"]}, …],
///      "outputs": ["fc"], "metadata": {"renga.architecture": "resnet", …}}
public struct NetworkDescription: Sendable {
    /// The version that this library writes, and the newest that it reads.
    public static let version = 1
    /// What "format" says.
    public static let format = "renga-network"

    /// The graph.
    public let structure: NetworkStructure
    /// Free-form text.
    public let metadata: [String: String]

    /// Describes a graph.
    public init(_ structure: NetworkStructure, metadata: [String: String] = [:]) {
        self.structure = structure
        self.metadata = metadata
    }

    /// Describes a network.
    public init(_ network: Network) {
        self.init(network.structure, metadata: network.metadata)
    }

    /// The description as JSON text.
    public var jsonText: String { json.description }

    /// The description as JSON.
    package var json: JSON {
        let inputs = structure.inputs.map { input -> JSON in
            ["name": .text(input.name), "h": .integer(input.h), "w": .integer(input.w), "c": .integer(input.c)]
        }
        let nodes = structure.nodes.map { node -> JSON in
            [
                "name": .text(node.name), "op": .text(node.op.name), "attributes": .texts(node.op.encoded),
                "inputs": .list(node.inputs.map { .text(structure.name(of: $0)) }),
            ]
        }
        return [
            "format": .text(Self.format), "version": .integer(Self.version), "inputs": .list(inputs),
            "nodes": .list(nodes), "outputs": .list(structure.outputs.map { .text(structure.name(of: $0)) }),
            "metadata": .texts(metadata),
        ]
    }
}

// MARK: - Reading

extension NetworkDescription {
    /// Reads a description from JSON text and checks everything that a network must fulfil.
    /// Errors: `corruptData` (not such a description, or one whose network cannot be), `unsupported` (a newer version).
    public init(parsing text: String) throws(RengaError) {
        try self.init(JSON(parsing: text))
    }

    /// Reads a description from JSON.
    package init(_ json: JSON) throws(RengaError) {
        guard json["format"]?.textValue == Self.format, let version = json["version"]?.integerValue, version >= 1
        else {
            throw RengaError(.corruptData, "not a network description: \"format\" or \"version\" is missing")
        }
        guard version <= Self.version else {
            throw RengaError(
                .unsupported, "network description version \(version) is newer than this library's \(Self.version)")
        }
        do {
            let inputs = try Self.list(json, "inputs", Self.input)
            var values = ValueNames()
            for input in inputs { try values.append(input.name) }
            var nodes: [Node] = []
            for node in try Self.elements(json, "nodes") {
                nodes.append(try Self.node(node, values))
                try values.append(nodes[nodes.count - 1].name)
            }
            let outputs = try Self.names(json, "outputs").map { name throws(RengaError) in try values.id(of: name) }
            structure = try NetworkStructure(inputs: inputs, nodes: nodes, outputs: outputs)
            metadata = try Self.texts(json, "metadata")
        } catch {
            throw RengaError(.corruptData, "network description: \(error.message)")
        }
    }

    private static func input(_ json: JSON) throws(RengaError) -> NetworkInput {
        guard let name = json["name"]?.textValue, let h = json["h"]?.integerValue, let w = json["w"]?.integerValue,
            let c = json["c"]?.integerValue
        else { throw RengaError(.corruptData, "an input lacks its name or extents") }
        return NetworkInput(name: name, h: h, w: w, c: c)
    }

    private static func node(_ json: JSON, _ values: ValueNames) throws(RengaError) -> Node {
        guard let name = json["name"]?.textValue, let op = json["op"]?.textValue else {
            throw RengaError(.corruptData, "a node lacks its name or op")
        }
        do {
            var inputs: [ValueID] = []
            for input in try names(json, "inputs") { inputs.append(try values.id(of: input)) }
            return Node(name: name, op: try OperatorTable.make(op, texts(json, "attributes")), inputs: inputs)
        } catch {
            throw RengaError(error.status, "layer '\(name.prefix(200))': \(error.message)")
        }
    }
}

// MARK: - Parts of JSON

extension NetworkDescription {
    private static func elements(_ json: JSON, _ name: String) throws(RengaError) -> [JSON] {
        guard let elements = json[name]?.listValue else {
            throw RengaError(.corruptData, "\"\(name)\" is missing or no list")
        }
        return elements
    }

    private static func list<Element>(
        _ json: JSON, _ name: String, _ read: (JSON) throws(RengaError) -> Element
    ) throws(RengaError) -> [Element] {
        var list: [Element] = []
        for element in try elements(json, name) { list.append(try read(element)) }
        return list
    }

    private static func names(_ json: JSON, _ name: String) throws(RengaError) -> [String] {
        try list(json, name) { element throws(RengaError) in
            guard let text = element.textValue else {
                throw RengaError(.corruptData, "\"\(name)\" holds something other than names")
            }
            return text
        }
    }

    /// Texts by name; a missing member is no text at all.
    private static func texts(_ json: JSON, _ name: String) throws(RengaError) -> [String: String] {
        guard let member = json[name] else { return [:] }
        guard let members = member.members else { throw RengaError(.corruptData, "\"\(name)\" is no object") }
        var texts: [String: String] = [:]
        for member in members {
            guard let text = member.value.textValue else {
                throw RengaError(.corruptData, "\"\(name)\": '\(member.name.prefix(80))' is no text")
            }
            texts[member.name] = text
        }
        return texts
    }
}

/// The values read so far, by name.
private struct ValueNames {
    private var ids: [String: ValueID] = [:]

    mutating func append(_ name: String) throws(RengaError) {
        guard ids.updateValue(ids.count, forKey: name) == nil else {
            throw RengaError(.corruptData, "the name '\(name.prefix(200))' is used twice")
        }
    }

    func id(of name: String) throws(RengaError) -> ValueID {
        guard let id = ids[name] else {
            throw RengaError(.corruptData, "'\(name.prefix(200))' is no value that stands before its reader")
        }
        return id
    }
}
