// GlobalAveragePool.swift: mean over the whole map: shape rule.
// Not here: how it runs (kernels).

/// Mean over all pixels of each channel. src `[N,H,W,C]`, dst `[N,1,1,C]`.
public struct GlobalAveragePool {
    /// Makes a global average pooling.
    public init() {}
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension GlobalAveragePool: PlainOperator {
    public static let name = "global_average_pool"
    public static let arity = Arity.exactly(1)

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        return Shape(n: src.n, h: 1, w: 1, c: src.c)
    }
}
