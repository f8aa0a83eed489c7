// Architecture.swift: what a family of networks says about itself, and what it makes: a graph with its rule for first values.
// Not here: the families (one file each), the table of them (Architectures.swift).
public import RengaNetwork

/// A way to make a network from options.
public protocol Architecture: Sendable {
    /// The family's name in options and files: "resnet".
    static var name: String { get }
    /// What the family is, in a sentence or two, with its paper.
    static var documentation: String { get }
    /// Every option with default, bounds and documentation.
    static var attributes: [AttributeSpec] { get }
    /// Makes the graph from checked options; conditions between options are checked here.
    static func blueprint(_ options: AttributeReader) throws(RengaError) -> Blueprint
}

/// A network before its parameters have values.
public struct Blueprint: Sendable {
    /// The layers.
    public var builder: NetworkBuilder
    /// The values that a run returns.
    public var outputs: [ValueID]
    /// How the parameters begin.
    public var initialization: Initialization
    /// Options whose default depends on others, as they came out.
    public var resolved: Attributes

    /// Collects the parts.
    public init(
        builder: NetworkBuilder, outputs: [ValueID], initialization: Initialization, resolved: Attributes = [:]
    ) {
        self.builder = builder
        self.outputs = outputs
        self.initialization = initialization
        self.resolved = resolved
    }
}
