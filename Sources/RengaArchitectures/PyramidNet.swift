// PyramidNet.swift: residual networks whose width grows in every block (Han, Kim and Kim 2016, arXiv 1610.02915), also with stochastic depth:
// PyramidDrop and PyramidSepDrop (Yamada, Iwamura and Kise 2016, arXiv 1612.01230). Not here: the options of gates (StochasticDepth.swift).
import Glibc
public import RengaNetwork

/// Pyramidal networks: F(x) = BN conv relu BN conv BN (no first ReLU, a BN at the end, no ReLU after the sum); zero-padded identity shortcuts.
public enum PyramidNet {}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension PyramidNet: Architecture {
    public static let name = "pyramidnet"
    public static let documentation =
        "Pyramidal residual network (Han et al. 2016): the width grows in every block by `alpha` in total. "
        + "stem=cifar: depth 6n+2 (basic) or 9n+2 (bottleneck); stem=imagenet: depth 50, 101, 152 or 200 (bottleneck). "
        + "stochastic_depth=joint makes PyramidDrop, separate makes PyramidSepDrop (Yamada et al. 2016)."
    public static let attributes =
        ResidualFrame.attributes(
            depth: "110",
            [
                AttributeSpec(
                    "alpha", .number(0...10_000), default: "48",
                    "Total widening: the last width is the first plus alpha (widening=add) or times alpha (mul, at least 1)."
                ),
                AttributeSpec(
                    "widening", .choice(["add", "mul"]), default: "add", "Growth by equal steps or by equal factors."),
                ResidualFrame.width,
            ], block: ResidualFrame.block, initialization: "he_fan_out") + StochasticDepth.attributes(separates: true)

    public static func blueprint(_ options: AttributeReader) throws(RengaError) -> Blueprint {
        let frame = try ResidualFrame(options) { branch in
            branch == .basic ? [:] : StageDepths.ofResNet(branch).merging([200: [3, 24, 36, 3]]) { $1 }
        }
        let depth = try StochasticDepth(options, separates: true)
        let widths = try widths(options, from: frame.width, blocks: frame.counts.reduce(0, +))
        var stack = LayerStack()
        let begun = try frame.begin(&stack, width: frame.width, small: .norm)
        // The width is the block's, not the stage's.
        let state = try stack.stages(
            widths: frame.counts.map { _ in 0 }, counts: frame.counts, from: (value: begun, block: 0)
        ) { stack, state, place throws(RengaError) in
            let width = widths[state.block]
            let value = try addBlock(&stack, state.value, frame.branch, width: width, place, depth)
            return (value, state.block + 1)
        }
        let logits = try stack.head(stack.normRelu("_last", state.value), classes: options.integer("classes"))
        return stack.blueprint(output: logits, try options.initialization(), resolved: frame.resolved)
    }

    /// D_l for l = 1 … blocks: real widths add up (or multiply), and each is rounded only for use.
    private static func widths(
        _ options: AttributeReader, from first: Int, blocks: Int
    ) throws(RengaError) -> [Int] {
        let alpha = try options.number("alpha")
        let adds = try options.choice("widening") == "add"
        guard adds || alpha >= 1 else {
            throw RengaError(.invalidArgument, "option 'alpha' must be at least 1 with widening=mul, got \(alpha)")
        }
        let step = alpha / Double(blocks)
        let factor = pow(alpha, 1 / Double(blocks))
        var width = Double(first)
        var widths: [Int] = []
        for _ in 0..<blocks {
            width = adds ? width + step : width * factor
            guard let rounded = Int(exactly: (width + 0.5).rounded(.down)), rounded <= ResidualFrame.mostChannels
            else {
                throw RengaError(
                    .invalidArgument,
                    "option 'alpha' must keep all widths within \(ResidualFrame.mostChannels), got \(alpha)")
            }
            widths.append(rounded)
        }
        return widths
    }

    private static func addBlock(
        _ stack: inout LayerStack, _ src: ValueID, _ branch: ResidualBranch, width: Int, _ place: BlockPlace,
        _ depth: StochasticDepth
    ) throws(RengaError) -> ValueID {
        let stride = place.stride
        let channels = width * branch.expansion
        let present = try stack.channels(src)
        var value = try stack.add(BatchNorm(), "bn1", src)
        switch branch {
        case .basic:
            value = try stack.convolution("conv1", value, width, kernel: 3, stride: stride)
            value = try stack.convolution("conv2", stack.normRelu("2", value), width, kernel: 3)
        case .bottleneck:
            value = try stack.convolution("conv1", value, width, kernel: 1)
            value = try stack.convolution("conv2", stack.normRelu("2", value), width, kernel: 3, stride: stride)
            value = try stack.convolution(
                "conv3", stack.normRelu("3", value), channels, kernel: 1)
        }
        let split = depth.split(channels, shortcut: present)
        if depth.beginsByHalves, split > 0 {
            stack.begin("conv\(branch.layers).weight", with: .heFanOutHalves(at: split))
        }
        let norm = try stack.add(BatchNorm(), "bn\(branch.layers + 1)", value)
        let residual = try depth.gated(&stack, norm, place, shortcut: present)
        let around = try addShortcut(&stack, src, channels: channels, stride: stride)
        return try stack.add(Add(), "add", residual, around)
    }

    /// The old channels, averaged 2x2 where the stride is 2, and zeros for the new ones.
    private static func addShortcut(
        _ stack: inout LayerStack, _ src: ValueID, channels: Int, stride: Int
    ) throws(RengaError) -> ValueID {
        var value = src
        if stride != 1 {
            let pool = AveragePool(window: Window(kernel: stride, stride: stride), ceilMode: true)
            value = try stack.add(pool, "shortcut.pool", value)
        }
        let present = try stack.channels(value)
        return channels > present ? try stack.add(ChannelPad(after: channels - present), "shortcut.pad", value) : value
    }
}
