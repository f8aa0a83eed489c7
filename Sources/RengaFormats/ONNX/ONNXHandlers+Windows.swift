// ONNXHandlers+Windows.swift: convolutions and pooling.
// Not here: the mean over a whole map (ONNXHandlers+Shapes.swift).
import RengaNetwork

extension ONNXHandlers {
    /// A map whose axes are images, channels (in any order), rows and columns; or columns alone.
    private static func image(
        _ importer: ONNXImporter, _ node: ONNXNode
    ) throws(RengaError) -> (id: ValueID, view: ONNXView, shape: Shape, channels: [Int]) {
        let (id, view, shape) = try importer.map(node)
        guard view.rank == 3 || view.rank == 4, let channels = view.channelPlaces(1, shape) else {
            throw RengaError(
                .unsupported, "its input has \(view.rank) axes, or its channels are not the second; expected [N,C,H,W]")
        }
        var standard = view
        standard.axes[1] = ONNXView.whole(.c, shape.c)
        guard standard.matches(view.rank == 4 ? "nchw" : "ncw", shape), view.rank == 4 || shape.h == 1 else {
            throw RengaError(.unsupported, "the axes of its input are not [N,C,H,W] of the map")
        }
        return (id, view, shape, channels)
    }

    /// The view of what a window makes of an image: `channels` is its second axis.
    private static func view(_ like: ONNXView, _ shape: Shape, channels: [ONNXFactor]) -> ONNXView {
        var view = like
        view.axes[1] = channels
        view.axes[view.rank - 1] = ONNXView.whole(.w, shape.w)
        if view.rank == 4 { view.axes[2] = ONNXView.whole(.h, shape.h) }
        return view
    }

    /// The numbers of an attribute for rows and columns; columns alone have one.
    private static func pair(
        _ node: ONNXNode, _ name: String, _ rank: Int, default value: Int
    ) throws(RengaError) -> (h: Int, w: Int) {
        guard let given = node.attributes[name]?.integers, !given.isEmpty else { return (value, value) }
        guard given.count == rank - 2 else {
            throw RengaError(.shapeMismatch, "its \(name) has \(given.count) numbers, expected \(rank - 2)")
        }
        return (rank == 4 ? given[0] : value, given[given.count - 1])
    }

    private static func window(
        _ importer: ONNXImporter, _ node: ONNXNode, _ view: ONNXView, _ shape: Shape, kernel: (h: Int, w: Int)
    ) throws(RengaError) -> Window {
        var window = Window(kernel: 1)
        (window.kernelH, window.kernelW) = kernel
        let (stride, dilation) = (
            try pair(node, "strides", view.rank, default: 1), try pair(node, "dilations", view.rank, default: 1)
        )
        (window.strideH, window.strideW) = view.rank == 4 ? stride : (1, stride.w)
        (window.dilationH, window.dilationW) = view.rank == 4 ? dilation : (1, dilation.w)
        for extent in [kernel.h, kernel.w, window.strideH, window.strideW, window.dilationH, window.dilationW]
        where !(1...Window.largestExtent).contains(extent) {
            throw RengaError(
                .unsupported, "kernel, strides and dilations must be in 1...\(Window.largestExtent), got \(extent)")
        }
        let automatic = node.attributes["auto_pad"]?.text ?? "NOTSET"
        if automatic == "SAME_UPPER" || automatic == "SAME_LOWER" {
            let isUpper = automatic == "SAME_UPPER"
            (window.padTop, window.padBottom) = same(shape.h, window.strideH, window.extentH, isUpper)
            (window.padLeft, window.padRight) = same(shape.w, window.strideW, window.extentW, isUpper)
            if window.strideH > 1 || window.strideW > 1 {
                importer.notes.append("'\(node.name)': its pads are those for maps of \(shape.h) x \(shape.w)")
            }
        } else if automatic != "VALID", let pads = node.attributes["pads"]?.integers, !pads.isEmpty {
            guard pads.count == 2 * (view.rank - 2) else {
                throw RengaError(.shapeMismatch, "its pads have \(pads.count) numbers, expected \(2 * (view.rank - 2))")
            }
            (window.padLeft, window.padRight) = (pads[view.rank - 3], pads[pads.count - 1])
            if view.rank == 4 { (window.padTop, window.padBottom) = (pads[0], pads[2]) }
        }
        return window
    }

    /// The pads with which ceil(size / stride) places fit.
    private static func same(_ size: Int, _ stride: Int, _ extent: Int, _ isUpper: Bool) -> (Int, Int) {
        let total = max(((size + stride - 1) / stride - 1) * stride + extent - size, 0)
        return isUpper ? (total / 2, total - total / 2) : (total - total / 2, total / 2)
    }

    /// The extents of a filter, checked, with `first` and `second` its first two axes.
    private static func filter(
        _ importer: ONNXImporter, _ node: ONNXNode, _ rank: Int
    ) throws(RengaError) -> (constant: ONNXConstant, first: Int, second: Int, kernel: (h: Int, w: Int), groups: Int) {
        let constant = try importer.required(node, 1, "weight")
        let extents = constant.dimensions
        guard extents.count == rank, !extents.contains(0) else {
            throw RengaError(.shapeMismatch, "its weight \(extents) does not fit an input of \(rank) axes")
        }
        let kernel = (rank == 4 ? extents[2] : 1, extents[rank - 1])
        let given = try pair(node, "kernel_shape", rank, default: 0)
        guard given == (0, 0) || (given.w == kernel.1 && (rank == 3 || given.h == kernel.0)) else {
            throw RengaError(.shapeMismatch, "its kernel_shape is not that of its weight \(extents)")
        }
        let groups = node.attributes["group"]?.integer ?? 1
        guard (1...Convolution.mostChannels).contains(groups) else {
            throw RengaError(.invalidArgument, "its group is \(groups)")
        }
        return (constant, extents[0], extents[1], kernel, groups)
    }

    private static func bias(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) -> [ONNXWeight] {
        guard importer.has(node, 2) else { return [] }
        return [ONNXWeight("bias", .bias, try importer.required(node, 2, "bias").values())]
    }

    /// Places of a filter's four axes in the parameter, whose fastest axis is the file's first.
    private static func places(
        _ rank: Int, _ first: Int, _ second: Int, _ kernel: (h: Int, w: Int)
    ) -> [[Int]] {
        let tap = first.saturatingTimes(second)
        let rows = (0..<kernel.h).map { $0.saturatingTimes(kernel.w.saturatingTimes(tap)) }
        let all = [
            Array(0..<first), (0..<second).map { $0.saturatingTimes(first) }, rows,
            (0..<kernel.w).map { $0.saturatingTimes(tap) },
        ]
        return rank == 4 ? all : [all[0], all[1], all[3]]
    }

    static func convolution(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let (id, view, shape, channels) = try image(importer, node)
        let (constant, k, c, kernel, groups) = try filter(importer, node, view.rank)
        guard c.saturatingTimes(groups) == shape.c else {
            throw RengaError(.shapeMismatch, "its weight has \(c) x \(groups) channels, its input \(shape.c)")
        }
        let isInOrder = channels == Array(channels.indices)
        guard isInOrder || groups == 1 else {
            throw RengaError(.unsupported, "its groups are of channels in another order than they lie in memory")
        }
        let bias = try bias(importer, node)
        let window = try window(importer, node, view, shape, kernel: kernel)
        var weight = ONNXWeight(
            name: "weight", role: .weight, dimensions: [kernel.h, kernel.w, c, k], constant: constant,
            places: places(view.rank, k, c, kernel))
        if !isInOrder { weight = weight.moved(1) { channels[$0] } }
        let result = try importer.add(
            node, Convolution(channels: k, window: window, groups: groups, bias: !bias.isEmpty), [id], [weight] + bias,
            like: node.inputs[1])
        let made = importer.shapes[result]
        importer.set(node, result, Self.view(view, made, channels: ONNXView.whole(.c, made.c)))
    }

    static func transposedConvolution(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let (id, view, shape, channels) = try image(importer, node)
        let (constant, c, k, kernel, groups) = try filter(importer, node, view.rank)
        guard c == shape.c, channels == Array(channels.indices) else {
            throw RengaError(.shapeMismatch, "its weight has \(c) channels, its input \(shape.c) (or in another order)")
        }
        let bias = try bias(importer, node)
        var plain = node
        let automatic = node.attributes["auto_pad"]?.text ?? "NOTSET"
        if automatic.utf8.first == UInt8(ascii: "S") { plain.attributes["auto_pad"] = nil }
        var window = try window(importer, plain, view, shape, kernel: kernel)
        var added = try pair(node, "output_padding", view.rank, default: 0)
        if view.rank == 3 { added.h = 0 }
        let bound = 0...Window.largestExtent
        guard bound.contains(added.h), bound.contains(added.w) else {
            throw RengaError(.unsupported, "its output_padding")
        }
        var target = try pair(node, "output_shape", view.rank, default: 0)
        if target.w == 0, plain.attributes["auto_pad"] == nil, automatic.utf8.first == UInt8(ascii: "S") {
            target = (shape.h * window.strideH, shape.w * window.strideW)
        }
        if target.w > 0 {
            let isUpper = automatic == "SAME_UPPER"
            if view.rank == 4 {
                (window.padTop, window.padBottom, added.h) = cut(
                    (shape.h - 1) * window.strideH + window.extentH + added.h, target.h, added.h, isUpper)
            }
            (window.padLeft, window.padRight, added.w) = cut(
                (shape.w - 1) * window.strideW + window.extentW + added.w, target.w, added.w, isUpper)
        }
        let op = ConvolutionTranspose(
            channels: k.saturatingTimes(groups), window: window, outputPadH: added.h, outputPadW: added.w,
            groups: groups, bias: !bias.isEmpty)
        let weight = ONNXWeight(
            name: "weight", role: .weight, dimensions: [kernel.h, kernel.w, k, c], constant: constant,
            places: places(view.rank, c, k, kernel))
        let result = try importer.add(node, op, [id], [weight] + bias, like: node.inputs[1])
        let made = importer.shapes[result]
        importer.set(node, result, Self.view(view, made, channels: ONNXView.whole(.c, made.c)))
    }

    /// Pads that leave `target` of `full` places, and places added where there are too few.
    private static func cut(_ full: Int, _ target: Int, _ added: Int, _ isUpper: Bool) -> (Int, Int, Int) {
        let total = full - target
        guard total >= 0 else { return (0, 0, added - total) }
        return isUpper ? (total / 2, total - total / 2, added) : (total - total / 2, total / 2, added)
    }

    static func pool(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let (id, view, shape, _) = try image(importer, node)
        try importer.refuseOutputs(node, from: 1, "the places of the maxima")
        var kernel = try pair(node, "kernel_shape", view.rank, default: 0)
        if view.rank == 3 { kernel.h = 1 }
        let window = try window(importer, node, view, shape, kernel: kernel)
        let isCeil = node.attributes["ceil_mode"]?.integer == 1
        let op: any Operator =
            node.type == "MaxPool"
            ? MaxPool(window: window, ceilMode: isCeil)
            : AveragePool(
                window: window, ceilMode: isCeil,
                countIncludePad: node.attributes["count_include_pad"]?.integer == 1)
        let result = try importer.add(node, op, [id])
        importer.set(node, result, Self.view(view, importer.shapes[result], channels: view.axes[1]))
    }
}
