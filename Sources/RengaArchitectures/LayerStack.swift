// LayerStack.swift: a network under construction in the words of the papers: conv-BN-ReLU, stems, stages, heads; names by place.
// Not here: residual blocks (ResidualBlocks.swift), any family.
import RengaNetwork

/// Adds groups of layers that families share; layer names begin with the place: "stage2.block1.conv1".
struct LayerStack {
    private(set) var builder = NetworkBuilder()
    /// First values of single parameters, by full name.
    private(set) var overrides: [String: InitialValues] = [:]
    private var place = ""

    /// Runs `body` with names that begin with `name` and a dot.
    mutating func scope<Result>(
        _ name: String, _ body: (inout LayerStack) throws(RengaError) -> Result
    ) throws(RengaError) -> Result {
        let outside = place
        place += name + "."
        let result = try body(&self)
        place = outside
        return result
    }

    /// Adds the input.
    mutating func input(_ size: ImageSize, name: String = "input") throws(RengaError) -> ValueID {
        try builder.addInput(name, h: size.h, w: size.w, c: size.c)
    }

    /// Adds one layer under a name in the present place.
    mutating func add(_ op: any Operator, _ name: String, _ sources: ValueID...) throws(RengaError) -> ValueID {
        try builder.add(op, name: place + name, sources: sources)
    }

    /// The same with the sources as an array.
    mutating func add(_ op: any Operator, _ name: String, sources: [ValueID]) throws(RengaError) -> ValueID {
        try builder.add(op, name: place + name, sources: sources)
    }

    /// Channels of a value.
    func channels(_ value: ValueID) throws(RengaError) -> Int { try builder.shape(of: value).c }

    /// Lets a parameter of the present place begin otherwise than the rule says.
    mutating func begin(_ parameter: String, with values: InitialValues) {
        overrides[place + parameter] = values
    }

    /// The finished parts.
    consuming func blueprint(
        output: ValueID, _ initialization: Initialization, resolved: Attributes = [:]
    ) -> Blueprint {
        var initialization = initialization
        initialization.overrides = overrides
        return Blueprint(
            builder: builder, outputs: [output], initialization: initialization, resolved: resolved)
    }
}

// MARK: - Layers

extension LayerStack {
    /// A square convolution that keeps the size of the map, or divides it by its stride; no bias unless asked for.
    mutating func convolution(
        _ name: String, _ src: ValueID, _ channels: Int, kernel: Int, stride: Int = 1, groups: Int = 1,
        bias: Bool = false
    ) throws(RengaError) -> ValueID {
        let window = Window(kernel: kernel, stride: stride, pad: kernel / 2)
        return try add(Convolution(channels: channels, window: window, groups: groups, bias: bias), name, src)
    }

    /// Batch norm "bn…" and ReLU "relu…".
    mutating func normRelu(_ number: String, _ src: ValueID) throws(RengaError) -> ValueID {
        let norm = try add(BatchNorm(), "bn\(number)", src)
        return try add(ReLU(), "relu\(number)", norm)
    }

    /// Convolution "conv…" and batch norm "bn…".
    mutating func convNorm(
        _ number: String, _ src: ValueID, _ channels: Int, kernel: Int, stride: Int = 1, groups: Int = 1
    ) throws(RengaError) -> ValueID {
        let conv = try convolution(
            "conv\(number)", src, channels, kernel: kernel, stride: stride, groups: groups)
        return try add(BatchNorm(), "bn\(number)", conv)
    }

    /// Convolution "conv…", batch norm "bn…" and ReLU "relu…".
    mutating func convNormRelu(
        _ number: String, _ src: ValueID, _ channels: Int, kernel: Int, stride: Int = 1, groups: Int = 1
    ) throws(RengaError) -> ValueID {
        let norm = try convNorm(number, src, channels, kernel: kernel, stride: stride, groups: groups)
        return try add(ReLU(), "relu\(number)", norm)
    }

    /// Global average pooling and the fully connected layer "fc" with bias.
    mutating func head(_ src: ValueID, classes: Int) throws(RengaError) -> ValueID {
        let pooled = try add(GlobalAveragePool(), "pool", src)
        return try add(Linear(channels: classes), "fc", pooled)
    }
}

// MARK: - Stems

/// What follows the convolution of a stem.
enum StemEnd {
    /// Nothing.
    case convolution
    /// Batch norm.
    case norm
    /// Batch norm and ReLU.
    case activation
}

extension LayerStack {
    /// 3x3 convolution, for small images.
    mutating func smallStem(_ image: ValueID, _ width: Int, ends: StemEnd) throws(RengaError) -> ValueID {
        try scope("stem") { stack throws(RengaError) in
            try stack.ended(stack.convolution("conv1", image, width, kernel: 3), ends)
        }
    }

    /// 7x7 convolution with stride 2, and max pooling 3x3 with stride 2.
    mutating func largeStem(_ image: ValueID, _ width: Int, ends: StemEnd) throws(RengaError) -> ValueID {
        try scope("stem") { stack throws(RengaError) in
            let conv = try stack.convolution("conv1", image, width, kernel: 7, stride: 2)
            let window = Window(kernel: 3, stride: 2, pad: 1)
            return try stack.add(MaxPool(window: window), "pool", stack.ended(conv, ends))
        }
    }

    private mutating func ended(_ conv: ValueID, _ end: StemEnd) throws(RengaError) -> ValueID {
        switch end {
        case .convolution: conv
        case .norm: try add(BatchNorm(), "bn1", conv)
        case .activation: try normRelu("1", conv)
        }
    }
}

// MARK: - Stages

/// How a residual network begins.
enum Stem: String, CaseIterable {
    /// 3x3, for small images.
    case cifar
    /// 7x7 with stride 2, then max pooling 3x3 with stride 2.
    case imagenet

    /// The option of that name.
    static let attribute = AttributeSpec(
        "stem", .choice(allCases.map(\.rawValue)), default: cifar.rawValue,
        "cifar: 3x3 and three stages; imagenet: 7x7 with stride 2, max pooling and four stages.")

    init(_ options: AttributeReader) throws(RengaError) {
        self = Stem(rawValue: try options.choice("stem")) ?? .cifar
    }

    /// The image size that was given, else the one that the stem was made for.
    func imageSize(_ options: AttributeReader) throws(RengaError) -> ImageSize {
        self == .imagenet && !options.isGiven("input") ? ImageSize(h: 224, w: 224, c: 3) : try options.size("input")
    }

    /// The option "input" of families with a stem.
    static let input = AttributeSpec(
        "input", .size, default: "32x32x3", "Rows, columns and channels of one image; 224x224x3 with stem=imagenet.")
}

/// Where a block stands and what is asked of it.
struct BlockPlace {
    /// Width of its stage before any expansion.
    let width: Int
    /// Stride of its first convolution and of its shortcut.
    let stride: Int
    /// Its number in the network, from 1.
    let number: Int
    /// Blocks of the network.
    let count: Int

    /// Whether it is the last of the network.
    var isLast: Bool { number == count }
    /// Whether it is the first.
    var isFirst: Bool { number == 1 }
}

extension LayerStack {
    /// Blocks in stages: stage s has `counts[s]` blocks of width `widths[s]`; all stages but the first begin with stride 2.
    mutating func stages<State>(
        widths: [Int], counts: [Int], from state: State,
        _ block: (inout LayerStack, State, BlockPlace) throws(RengaError) -> State
    ) throws(RengaError) -> State {
        var state = state
        let total = counts.reduce(0, +)
        var number = 0
        for (stage, (width, count)) in zip(widths, counts).enumerated() {
            for index in 0..<count {
                number += 1
                let place = BlockPlace(
                    width: width, stride: stage > 0 && index == 0 ? 2 : 1, number: number, count: total)
                state = try scope("stage\(stage + 1).block\(index + 1)") { stack throws(RengaError) in
                    try block(&stack, state, place)
                }
            }
        }
        return state
    }
}
