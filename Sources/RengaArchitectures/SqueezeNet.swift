// SqueezeNet.swift: small networks of squeeze and expand convolutions (Iandola et al. 2016, arXiv 1602.07360).
// Not here: batch norm (the published networks have none).
public import RengaNetwork

/// SqueezeNet: fire modules: 1x1 to few channels, then 1x1 and 3x3 side by side; the classifier is a convolution and an average.
public enum SqueezeNet {}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension SqueezeNet: Architecture {
    public static let name = "squeezenet"
    public static let documentation =
        "SqueezeNet (Iandola et al. 2016) 1.0 or 1.1; the published ones have input=224x224x3,classes=1000."
    public static let attributes = [
        AttributeSpec("version", .choice(["1.0", "1.1"]), default: "1.1", "1.1 needs 2.4 times fewer operations."),
        AttributeSpec("dropout", .number(0...0.9), default: "0.5", "Rate of dropout before the classifier."),
        CommonOptions.classes,
        CommonOptions.input,
        CommonOptions.initialization("he_fan_in"),
    ]

    /// Squeezed channels of the fire modules; each expands to four times as many twice over. Pooling precedes the modules in `pools`.
    private static let squeezed = [16, 16, 32, 32, 48, 48, 64, 64]

    public static func blueprint(_ options: AttributeReader) throws(RengaError) -> Blueprint {
        let isFirst = try options.choice("version") == "1.0"
        let pools = isFirst ? [0, 3, 7] : [0, 2, 4]
        var stack = LayerStack()
        let image = try stack.input(options.size("input"))
        let window = Window(kernel: isFirst ? 7 : 3, stride: 2)
        let stem = try stack.add(Convolution(channels: isFirst ? 96 : 64, window: window), "stem.conv1", image)
        var value = try stack.add(ReLU(), "stem.relu1", stem)
        for (index, channels) in squeezed.enumerated() {
            if pools.contains(index) {
                let pool = MaxPool(window: Window(kernel: 3, stride: 2), ceilMode: true)
                value = try stack.add(pool, "pool\(index + 1)", value)
            }
            value = try stack.scope("fire\(index + 2)") { stack throws(RengaError) in
                try addFire(&stack, value, squeezed: channels)
            }
        }
        let rate = try options.number("dropout")
        if rate > 0 { value = try stack.add(Dropout(rate: rate), "dropout", value) }
        value = try stack.convolution("classifier", value, options.integer("classes"), kernel: 1, bias: true)
        value = try stack.add(GlobalAveragePool(), "pool", stack.add(ReLU(), "relu", value))
        return stack.blueprint(output: value, try options.initialization())
    }

    private static func addFire(
        _ stack: inout LayerStack, _ src: ValueID, squeezed: Int
    ) throws(RengaError) -> ValueID {
        let squeeze = try stack.convolution("squeeze", src, squeezed, kernel: 1, bias: true)
        let few = try stack.add(ReLU(), "relu_squeeze", squeeze)
        let narrow = try stack.convolution("expand1", few, 4 * squeezed, kernel: 1, bias: true)
        let wide = try stack.convolution("expand3", few, 4 * squeezed, kernel: 3, bias: true)
        return try stack.add(ReLU(), "relu", stack.add(Concat(), "concat", narrow, wide))
    }
}
