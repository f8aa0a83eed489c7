// VGG.swift: very deep plain networks of 3x3 convolutions (Simonyan and Zisserman 2014, arXiv 1409.1556).
// Not here: plain networks with free widths (PlainCNN.swift).
public import RengaNetwork

/// VGG: five stages of 3x3 convolutions (configurations A, B, D and E), each ended by max pooling, then three fully connected layers.
public enum VGG {}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension VGG: Architecture {
    public static let name = "vgg"
    public static let documentation =
        "VGG network (Simonyan and Zisserman 2014), with batch norm or as published; "
        + "the published ones have input=224x224x3,classes=1000,norm=no."
    public static let attributes = [
        AttributeSpec("depth", .choice(counts.map { "\($0.depth)" }), default: "16", "Layers with weights."),
        AttributeSpec("norm", .flag, default: "yes", "Whether batch norm follows every convolution."),
        AttributeSpec(
            "hidden", .integer(0...65_536), default: "4096", "Units of the two hidden layers; 0 = without them."),
        AttributeSpec("dropout", .number(0...0.9), default: "0.5", "Rate of dropout after each hidden layer."),
        CommonOptions.classes,
        CommonOptions.input,
        CommonOptions.initialization("he_fan_out"),
    ]

    /// Convolutions of each stage.
    private static let counts: [(depth: Int, stages: [Int])] = [
        (11, [1, 1, 2, 2, 2]), (13, [2, 2, 2, 2, 2]), (16, [2, 2, 3, 3, 3]), (19, [2, 2, 4, 4, 4]),
    ]
    private static let widths = [64, 128, 256, 512, 512]

    public static func blueprint(_ options: AttributeReader) throws(RengaError) -> Blueprint {
        let depth = try options.choice("depth")
        let hasNorm = try options.flag("norm")
        let stages = counts.first { "\($0.depth)" == depth }?.stages ?? []
        var stack = LayerStack()
        var value = try stack.input(options.size("input"))
        for (index, (count, width)) in zip(stages, widths).enumerated() {
            value = try stack.scope("stage\(index + 1)") { stack throws(RengaError) in
                var value = value
                for number in 1...count {
                    // The convolutions keep their bias under batch norm, so that both forms have the same weights.
                    value = try stack.convolution("conv\(number)", value, width, kernel: 3, bias: true)
                    value = try hasNorm ? stack.normRelu("\(number)", value) : stack.add(ReLU(), "relu\(number)", value)
                }
                return try stack.add(MaxPool(window: Window(kernel: 2, stride: 2)), "pool", value)
            }
        }
        let logits = try addClassifier(&stack, value, options)
        return stack.blueprint(output: logits, try options.initialization())
    }

    private static func addClassifier(
        _ stack: inout LayerStack, _ src: ValueID, _ options: AttributeReader
    ) throws(RengaError) -> ValueID {
        var value = try stack.add(Flatten(), "flatten", src)
        let hidden = try options.integer("hidden")
        let rate = try options.number("dropout")
        for number in 1...2 where hidden > 0 {
            value = try stack.add(Linear(channels: hidden), "fc\(number)", value)
            value = try stack.add(ReLU(), "relu_fc\(number)", value)
            if rate > 0 { value = try stack.add(Dropout(rate: rate), "dropout\(number)", value) }
        }
        return try stack.add(Linear(channels: options.integer("classes")), "fc", value)
    }
}
