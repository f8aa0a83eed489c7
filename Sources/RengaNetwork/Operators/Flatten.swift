// Flatten.swift: a map as one vector: options and shape rule.
// Not here: how it runs (in the order of memory it moves nothing: the memory of a map is already that of the vector).

/// A map as a vector: src `[N,H,W,C]`, dst `[N,1,1,H W C]`.
public struct Flatten {
    /// Which elements come first.
    public enum Order: String, Sendable, CaseIterable {
        /// That of memory: rows, columns, channels.
        case nhwc
        /// All pixels of the first channel, then those of the second, …: as networks flatten that hold maps as `[N,C,H,W]`.
        case nchw
    }

    /// Which elements come first.
    public var order: Order

    /// Makes a flatten.
    public init(order: Order = .nhwc) { self.order = order }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Flatten: Operator {
    public static let name = "flatten"
    public static let arity = Arity.exactly(1)
    public static let attributes = [
        AttributeSpec(
            "order", .choice(Order.allCases.map(\.rawValue)), default: Order.nhwc.rawValue,
            "Pixel by pixel as in memory, or channel by channel as networks on [N,C,H,W] maps flatten.")
    ]

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        order = Order(rawValue: try reader.choice("order")) ?? .nhwc
    }

    public var encoded: Attributes { order == .nhwc ? [:] : ["order": order.rawValue] }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        return Shape(n: src.n, h: 1, w: 1, c: src.countPerImage)
    }
}
