// Architectures.swift: every family by name: the one place where a new family is made known; making one; listing them.
// Not here: any family.
public import RengaNetwork

/// The families of networks. A compile-time table: a static linker cannot drop an entry.
public enum Architectures {
    /// All families, in the order in which they are listed to people.
    public static let all: [any Architecture.Type] = [
        PlainCNN.self, ResNet.self, ResNeXt.self, InceptionLike.self, DMRNet.self, PyramidNet.self, VGG.self,
        SqueezeNet.self,
    ]

    /// The family of that name.
    /// Errors: `notFound`, the sentence lists the known names.
    public static func type(named name: String) throws(RengaError) -> any Architecture.Type {
        guard let type = all.first(where: { $0.name == name }) else {
            throw RengaError(
                .notFound,
                "unknown architecture '\(name.prefix(80))'; known: \(all.map { $0.name }.joined(separator: ", "))")
        }
        return type
    }

    /// Makes a network of a family with initial parameters; the same seed gives the same bits on every machine.
    /// Its metadata names the family and all options ("renga.architecture", "renga.options").
    /// Errors: `notFound` (unknown family or option), `invalidArgument` (an option's value; the sentence names it with its bounds).
    public static func make(
        _ name: String, options: Attributes = [:], seed: UInt64 = 0
    ) throws(RengaError) -> Network {
        let blueprint = try blueprint(name, options: options)
        return try blueprint.builder.build(
            outputs: blueprint.outputs, initialization: blueprint.initialization, seed: seed)
    }

    /// Makes the description of such a network, without the cost of its parameters.
    public static func describe(_ name: String, options: Attributes = [:]) throws(RengaError) -> NetworkDescription {
        let blueprint = try blueprint(name, options: options)
        return NetworkDescription(
            try blueprint.builder.structure(outputs: blueprint.outputs), metadata: blueprint.builder.metadata)
    }

    private static func blueprint(_ name: String, options: Attributes) throws(RengaError) -> Blueprint {
        let family = try type(named: name)
        let reader = try AttributeReader(options, family.attributes, owner: family.name)
        var blueprint: Blueprint
        do {
            blueprint = try family.blueprint(reader)
        } catch {
            let prefix = error.message.hasPrefix("\(family.name): ") ? "" : "\(family.name): "
            throw RengaError(error.status, prefix + error.message)
        }
        let all = reader.effective.merging(blueprint.resolved) { $1 }
        blueprint.builder.metadata["renga.architecture"] = family.name
        blueprint.builder.metadata["renga.options"] =
            all.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
        return blueprint
    }
}

// MARK: - Listing

extension Architectures {
    /// The families (or the one of that name) with their options, as text for people.
    public static func listText(_ name: String? = nil) throws(RengaError) -> String {
        let families = try selected(name)
        return families.map { family in
            "\(family.name): \(family.documentation)\n" + AttributeSpec.table(family.attributes, indent: "  ")
        }.joined(separator: "\n")
    }

    /// The same as JSON: {"architectures": [{"name", "documentation", "options": […]}]}.
    public static func listJSONText(_ name: String? = nil) throws(RengaError) -> String {
        let families = try selected(name).map { family -> JSON in
            [
                "name": .text(family.name), "documentation": .text(family.documentation),
                "options": .list(family.attributes.map(\.json)),
            ]
        }
        let list: JSON = ["architectures": .list(families)]
        return list.description
    }

    private static func selected(_ name: String?) throws(RengaError) -> [any Architecture.Type] {
        guard let name else { return all }
        return [try type(named: name)]
    }
}
