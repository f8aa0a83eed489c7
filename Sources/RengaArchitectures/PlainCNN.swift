// PlainCNN.swift: the plain convolutional network: stages of convolution, batch norm and ReLU, each followed by pooling.
// Not here: networks with shortcuts.
public import RengaNetwork

/// Plain networks: (conv - BN - ReLU) x n - pool, a few times, then a classifier.
public enum PlainCNN {}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension PlainCNN: Architecture {
    public static let name = "cnn"
    public static let documentation =
        "Plain network: stages of 3x3 convolutions with batch norm and ReLU, each ended by pooling; the width doubles from stage to stage."
    public static let attributes = [
        AttributeSpec("stages", .integer(1...8), default: "3", "Stages; each ends with pooling over 2x2."),
        AttributeSpec("convolutions", .integer(1...16), default: "2", "Convolutions in each stage."),
        AttributeSpec("width", .integer(1...1024), default: "32", "Channels of the first stage."),
        AttributeSpec("kernel", .integer(1...15), default: "3", "Rows and columns of every convolution's window."),
        AttributeSpec(
            "norm", .flag, default: "yes", "Whether batch norm follows every convolution; without, it has a bias."),
        AttributeSpec("pool", .choice(["max", "average"]), default: "max", "What ends a stage."),
        AttributeSpec(
            "head", .choice(["global", "flatten"]), default: "global",
            "Global average pooling, or the map as one vector, before the fully connected layers."),
        AttributeSpec(
            "hidden", .integer(0...65_536), default: "0", "Units of a hidden fully connected layer; 0 = none."),
        AttributeSpec("dropout", .number(0...0.9), default: "0", "Rate of dropout before each fully connected layer."),
        CommonOptions.classes,
        CommonOptions.input,
        CommonOptions.initialization("he_fan_in"),
    ]

    public static func blueprint(_ options: AttributeReader) throws(RengaError) -> Blueprint {
        var stack = LayerStack()
        var value = try stack.input(options.size("input"))
        for stage in 0..<(try options.integer("stages")) {
            value = try stack.scope("stage\(stage + 1)") { stack throws(RengaError) in
                try addStage(&stack, value, channels: options.integer("width") << stage, options)
            }
        }
        let isGlobal = try options.choice("head") == "global"
        value = try isGlobal ? stack.add(GlobalAveragePool(), "pool", value) : stack.add(Flatten(), "flatten", value)
        let hidden = try options.integer("hidden")
        if hidden > 0 {
            value = try addDropout(&stack, "dropout1", value, options)
            value = try stack.add(Linear(channels: hidden), "hidden", value)
            value = try stack.add(ReLU(), "relu_hidden", value)
        }
        value = try addDropout(&stack, "dropout", value, options)
        let logits = try stack.add(Linear(channels: options.integer("classes")), "fc", value)
        return stack.blueprint(output: logits, try options.initialization())
    }

    private static func addStage(
        _ stack: inout LayerStack, _ src: ValueID, channels: Int, _ options: AttributeReader
    ) throws(RengaError) -> ValueID {
        var value = src
        let hasNorm = try options.flag("norm")
        for number in 1...(try options.integer("convolutions")) {
            value = try stack.convolution(
                "conv\(number)", value, channels, kernel: options.integer("kernel"), bias: !hasNorm)
            value = try hasNorm ? stack.normRelu("\(number)", value) : stack.add(ReLU(), "relu\(number)", value)
        }
        let window = Window(kernel: 2, stride: 2)
        let isMax = try options.choice("pool") == "max"
        return try stack.add(isMax ? MaxPool(window: window) : AveragePool(window: window), "pool", value)
    }

    private static func addDropout(
        _ stack: inout LayerStack, _ name: String, _ src: ValueID, _ options: AttributeReader
    ) throws(RengaError) -> ValueID {
        let rate = try options.number("dropout")
        return rate > 0 ? try stack.add(Dropout(rate: rate), name, src) : src
    }
}
