// MaxPool.swift: maximum over a sliding window: options and shape rule.
// Not here: how it runs (kernels).

/// Maximum over each window; the pad never wins. src `[N,H,W,C]`, dst `[N,OH,OW,C]`.
public struct MaxPool {
    /// Kernel, stride, pads, dilation.
    public var window: Window
    /// Whether a last window that runs over the padded edge counts, if it starts inside the map or the pad before it (as PyTorch).
    public var ceilMode: Bool

    /// Makes a max pooling; numbers out of bounds are errors of the shape rule.
    public init(window: Window, ceilMode: Bool = false) {
        self.window = window
        self.ceilMode = ceilMode
    }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension MaxPool: Operator {
    public static let name = "max_pool"
    public static let arity = Arity.exactly(1)
    public static let attributes =
        Window.attributes + [
            AttributeSpec("ceil_mode", .flag, default: "no", "Whether a last window that only partly fits counts.")
        ]

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        window = try Window(reader)
        ceilMode = try reader.flag("ceil_mode")
    }

    public var encoded: Attributes {
        ceilMode ? window.encoded.merging(["ceil_mode": "yes"]) { $1 } : window.encoded
    }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        try window.validated(Self.name).checkEveryPlaceSees(h: src.h, w: src.w)
        let places = try window.places(h: src.h, w: src.w, ceilMode ? .ceiling : .floor)
        return Shape(n: src.n, h: places.h, w: places.w, c: src.c)
    }
}
