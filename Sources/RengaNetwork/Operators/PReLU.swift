// PReLU.swift: the rectifier with a learnt slope (He et al. 2015): shape rule and parameter.
// Not here: how it runs (kernels).

/// Rectifier with one learnt slope per channel: dst = src where src > 0, else slope[c] src. src, dst `[N,H,W,C]`, slope `[C]`.
public struct PReLU {
    /// Makes a rectifier with slopes.
    public init() {}
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension PReLU: PlainOperator {
    public static let name = "prelu"
    public static let arity = Arity.exactly(1)

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape { try Self.single(inputs) }

    public func parameters(_ inputs: [Shape]) throws(RengaError) -> [ParameterSpec] {
        [ParameterSpec("slope", .slope, [try outputShape(inputs).c])]
    }
}
