// ResidualBlocks.swift: the branches and shortcuts of residual blocks, with activation after the sum (He et al. 2015, arXiv 1512.03385)
// or before the branch (He et al. 2016, arXiv 1603.05027). Families assemble them in their own ways.
// Not here: the assembly.
import RengaNetwork

/// The branch of a residual block.
enum ResidualBranch: String, CaseIterable {
    /// Two 3x3 convolutions.
    case basic
    /// 1x1 to the width, 3x3, 1x1 to four times the width.
    case bottleneck

    /// Channels of its output over its width.
    var expansion: Int { self == .basic ? 1 : 4 }
    /// Convolutions in it.
    var layers: Int { self == .basic ? 2 : 3 }

    /// The branch with the activation inside it after each norm but the last, none after the last norm ("post").
    /// `groups` divides the 3x3 convolution of a bottleneck; `inner` is its width, if not the place's.
    func addPost(
        _ stack: inout LayerStack, _ src: ValueID, _ place: BlockPlace, groups: Int = 1, inner: Int? = nil
    ) throws(RengaError) -> ValueID {
        let (width, stride) = (place.width, place.stride)
        switch self {
        case .basic:
            let first = try stack.convNormRelu("1", src, width, kernel: 3, stride: stride)
            return try stack.convNorm("2", first, width, kernel: 3)
        case .bottleneck:
            let inner = inner ?? width
            let first = try stack.convNormRelu("1", src, inner, kernel: 1)
            let second = try stack.convNormRelu("2", first, inner, kernel: 3, stride: stride, groups: groups)
            return try stack.convNorm("3", second, width * expansion, kernel: 1)
        }
    }

    /// The branch behind its first norm and activation `src`: conv, then norm, activation and conv again ("pre").
    func addPre(
        _ stack: inout LayerStack, _ src: ValueID, _ place: BlockPlace
    ) throws(RengaError) -> ValueID {
        let (width, stride) = (place.width, place.stride)
        switch self {
        case .basic:
            let first = try stack.convolution("conv1", src, width, kernel: 3, stride: stride)
            return try stack.convolution("conv2", stack.normRelu("2", first), width, kernel: 3)
        case .bottleneck:
            let first = try stack.convolution("conv1", src, width, kernel: 1)
            let second = try stack.convolution("conv2", stack.normRelu("2", first), width, kernel: 3, stride: stride)
            return try stack.convolution("conv3", stack.normRelu("3", second), width * expansion, kernel: 1)
        }
    }

    /// Lets the branch begin as zero, so that the block begins as its shortcut.
    func beginAtZero(_ stack: inout LayerStack, post: Bool) {
        stack.begin(post ? "bn\(layers).gamma" : "conv\(layers).weight", with: .constant(0))
    }
}

/// The way around a residual branch where the size or the channels change; elsewhere it is the identity.
enum Shortcut: String, CaseIterable {
    /// Every stride-th pixel, zeros for the new channels; no parameters (option A).
    case pad
    /// 1x1 convolution (option B).
    case project
    /// No way around: the branch alone.
    case none

    /// The option of that name; `automatic` says what auto means.
    static func attribute(_ automatic: String) -> AttributeSpec {
        AttributeSpec(
            "shortcut", .choice(["auto"] + allCases.map(\.rawValue)), default: "auto",
            "Where shapes change: subsampled with zero channels, a 1x1 convolution, or no shortcut; auto: \(automatic)."
        )
    }

    /// The option's value; nil for auto.
    init?(_ options: AttributeReader) throws(RengaError) { self.init(rawValue: try options.choice("shortcut")) }

    /// Adds the shortcut of `src` to `channels` channels; `norm`: whether a projection is followed by batch norm.
    /// Returns nil where there is none.
    func add(
        _ stack: inout LayerStack, _ src: ValueID, channels: Int, stride: Int, norm: Bool, name: String = "shortcut"
    ) throws(RengaError) -> ValueID? {
        let present = try stack.channels(src)
        guard present != channels || stride != 1 else { return src }
        return try stack.scope(name) { stack throws(RengaError) in
            switch self {
            case .none: return nil
            case .project:
                let conv = try stack.convolution("conv", src, channels, kernel: 1, stride: stride)
                return norm ? try stack.add(BatchNorm(), "bn", conv) : conv
            case .pad:
                var value = src
                if stride != 1 {
                    value = try stack.add(AveragePool(window: Window(kernel: 1, stride: stride)), "subsample", value)
                }
                guard channels > present else { return value }
                return try stack.add(ChannelPad(after: channels - present), "pad", value)
            }
        }
    }

    /// Ends a block with activation behind the sum: relu(residual + shortcut of src).
    func addPost(
        _ stack: inout LayerStack, _ residual: ValueID, _ src: ValueID, stride: Int
    ) throws(RengaError) -> ValueID {
        let around = try add(&stack, src, channels: stack.channels(residual), stride: stride, norm: true)
        let sum = try around.map { around throws(RengaError) in try stack.add(Add(), "add", residual, around) }
        return try stack.add(ReLU(), "relu", sum ?? residual)
    }
}
