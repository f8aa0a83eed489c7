// Operator.swift: what every operator of a network must say about itself, and nothing about how it runs, trains or is rewritten.
// Not here: the operators (one file each) and their execution (RengaExecution).

/// How many inputs an operator takes.
public enum Arity: Sendable, Equatable {
    /// Exactly this many.
    case exactly(Int)
    /// At least this many, at most ``Network/mostInputs``.
    case atLeast(Int)
}

/// What a parameter is for: decides its default initialisation and whether weight decay touches it.
public enum ParameterRole: String, Sendable, CaseIterable {
    /// A filter or matrix: `[R,S,C/G,K]` or `[C,K]`.
    case weight
    /// An offset: `[K]`.
    case bias
    /// The scale of a normalisation: `[C]`.
    case gamma
    /// The offset of a normalisation: `[C]`.
    case beta
    /// A running mean: `[C]`; moved by training, not by gradients.
    case runningMean
    /// A running variance: `[C]`; moved by training, not by gradients.
    case runningVariance
    /// The slope of a PReLU: `[C]`.
    case slope

    /// False for running statistics.
    public var isTrainable: Bool { self != .runningMean && self != .runningVariance }
}

/// One parameter that an operator needs, before it has values.
public struct ParameterSpec: Sendable, Equatable {
    /// Its name inside the layer: "weight", "bias", …; the full name is "layer.weight".
    public let name: String
    /// What it is for.
    public let role: ParameterRole
    /// Extents, slowest first.
    public let dimensions: [Int]

    /// Names a parameter.
    public init(_ name: String, _ role: ParameterRole, _ dimensions: [Int]) {
        self.name = name
        self.role = role
        self.dimensions = dimensions
    }
}

/// One operator with its attributes: a value without parameters, memory or state.
public protocol Operator: Sendable {
    /// The operator's name in files, options and messages: "convolution", "batch_norm", …
    static var name: String { get }
    /// Every attribute with default, bounds and documentation; the reader below accepts exactly these.
    static var attributes: [AttributeSpec] { get }
    /// How many inputs it takes.
    static var arity: Arity { get }
    /// Reads the attributes; missing ones have their defaults, unknown ones and values out of bounds are errors.
    init(attributes: Attributes) throws(RengaError)
    /// The attributes in the form that ``init(attributes:)`` reads; defaults may be left out.
    var encoded: Attributes { get }
    /// The shape rule; checks that the inputs fit the operator and each other. `inputs` has as many entries as ``arity`` allows.
    func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape
    /// The parameters that it needs for these inputs, in their order in files.
    func parameters(_ inputs: [Shape]) throws(RengaError) -> [ParameterSpec]
    /// Multiply-accumulates for these (already checked) inputs.
    func macs(_ inputs: [Shape]) -> Int
}

extension Operator {
    /// The operator's name, from a value.
    public var name: String { Self.name }
    /// Most operators have no parameters.
    public func parameters(_ inputs: [Shape]) throws(RengaError) -> [ParameterSpec] { [] }
    /// Most operators count as no multiply-accumulates, as the papers count.
    public func macs(_ inputs: [Shape]) -> Int { 0 }
}
