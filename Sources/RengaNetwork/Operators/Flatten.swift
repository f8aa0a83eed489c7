// Flatten.swift: a map as one vector: shape rule.
// Not here: how it runs (it moves nothing: the memory of a map is already that of the vector).

/// A map as a vector, in the order of memory (rows, columns, channels): src `[N,H,W,C]`, dst `[N,1,1,H W C]`.
public struct Flatten {
    /// Makes a flatten.
    public init() {}
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Flatten: PlainOperator {
    public static let name = "flatten"
    public static let arity = Arity.exactly(1)

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        return Shape(n: src.n, h: 1, w: 1, c: src.countPerImage)
    }
}
