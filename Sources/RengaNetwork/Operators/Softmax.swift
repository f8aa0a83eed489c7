// Softmax.swift: softmax over the channels: shape rule.
// Not here: how it runs (kernels), the cross-entropy loss (RengaTraining takes logits, not probabilities).

/// Softmax over C at each pixel: dst[c] = exp(src[c]) / sum over i of exp(src[i]). src, dst `[N,H,W,C]`.
public struct Softmax {
    /// Makes a softmax.
    public init() {}
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Softmax: PlainOperator {
    public static let name = "softmax"
    public static let arity = Arity.exactly(1)

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape { try Self.single(inputs) }
}
