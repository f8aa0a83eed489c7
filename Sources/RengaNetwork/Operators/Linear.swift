// Linear.swift: the fully connected layer: options, shape rule, parameters, cost.
// Not here: how it runs (kernels).

/// Fully connected: dst[n,k] = bias[k] + sum over c of src[n,c] weight[c,k]. src `[N,1,1,C]`, weight `[C,K]`, bias `[K]`, dst `[N,1,1,K]`.
public struct Linear {
    /// K: outputs.
    public var channels: Int
    /// Whether it adds a bias.
    public var hasBias: Bool

    /// Makes a fully connected layer; numbers out of bounds are errors of the shape rule.
    public init(channels: Int, bias: Bool = true) {
        self.channels = channels
        hasBias = bias
    }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Linear: Operator {
    public static let name = "linear"
    public static let arity = Arity.exactly(1)
    public static let attributes = [
        AttributeSpec("channels", .integer(1...Convolution.mostChannels), default: nil, "Outputs."),
        AttributeSpec("bias", .flag, default: "yes", "Whether a bias is added."),
    ]

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        channels = try reader.integer("channels")
        hasBias = try reader.flag("bias")
    }

    public var encoded: Attributes {
        hasBias ? ["channels": "\(channels)"] : ["channels": "\(channels)", "bias": "no"]
    }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        try Self.check("channels", channels, in: 1...Convolution.mostChannels)
        guard src.h == 1, src.w == 1 else {
            throw RengaError(
                .shapeMismatch,
                "expected a flat input [N,1,1,C], got \(src); put flatten or global_average_pool before it")
        }
        return Shape(n: src.n, h: 1, w: 1, c: channels)
    }

    public func parameters(_ inputs: [Shape]) throws(RengaError) -> [ParameterSpec] {
        _ = try outputShape(inputs)
        let weight = try ParameterSpec("weight", .weight, [inputs[0].c, channels]).validated()
        return hasBias ? [weight, ParameterSpec("bias", .bias, [channels])] : [weight]
    }

    public func macs(_ inputs: [Shape]) -> Int {
        guard let dst = try? outputShape(inputs) else { return 0 }
        return [dst.n, inputs[0].c, channels].saturatingProduct
    }
}
