// ONNXExporter+Windows.swift: operators with windows, pads and sizes in ONNX: convolutions, pools, pads, slices, resizing.
// Not here: the others (ONNXExporter+Operators.swift).
import RengaNetwork

extension ONNXExporter {
    /// Writes down a layer that only takes maps.
    mutating func exportWindow(_ node: Node, _ index: Int) throws(RengaError) {
        let source = form(node.inputs[0], flat: false)
        switch node.op {
        case let op as Convolution:
            let own = try parameters(index)
            finish(
                node, "Conv", [source] + ["weight", "bias"].compactMap { own[$0] }, flat: false,
                Self.attributes(op.window) + [.integer("group", op.groups)])
        case let op as ConvolutionTranspose: try export(node, op, index, source)
        case let op as MaxPool: try export(node, op, source)
        case let op as AveragePool: try export(node, op, source)
        case let op as ChannelPad:
            let pads = integers("\(node.name):pads", [0, op.before, 0, 0, 0, op.after, 0, 0])
            finish(node, "Pad", [source, pads], flat: false)
        case let op as Pad: try export(node, op, source)
        case let op as Slice: finishSlice(node, source, [op.c, op.h, op.w])
        case let op as Resize: try export(node, op, source)
        default: throw RengaError(.unsupported, "this operator has no form in ONNX yet")
        }
    }

    private static func attributes(_ window: Window, pads: [Int]? = nil) -> [ONNXExportAttribute] {
        [
            .integers("kernel_shape", [window.kernelH, window.kernelW]),
            .integers("strides", [window.strideH, window.strideW]), .integers("pads", pads ?? Self.pads(window)),
            .integers("dilations", [window.dilationH, window.dilationW]),
        ]
    }

    /// As ONNX lists them: before, then after.
    private static func pads(_ window: Window) -> [Int] {
        [window.padTop, window.padLeft, window.padBottom, window.padRight]
    }

    private mutating func export(
        _ node: Node, _ op: ConvolutionTranspose, _ index: Int, _ source: String
    ) throws(RengaError) {
        let own = try parameters(index)
        // What is added below the output and what the pad takes off there cancel: there the first is smaller than the stride.
        let window = op.mirrored
        let added = [op.outputPadH - op.window.padBottom, op.outputPadW - op.window.padRight].map { max($0, 0) }
        finish(
            node, "ConvTranspose", [source] + ["weight", "bias"].compactMap { own[$0] }, flat: false,
            Self.attributes(window) + [.integer("group", op.groups), .integers("output_padding", added)])
    }
}

// MARK: - Pools

extension ONNXExporter {
    private mutating func export(_ node: Node, _ op: MaxPool, _ source: String) throws(RengaError) {
        let pads = try pads(node, op.window, isCeil: op.ceilMode)
        var (input, rest) = (source, pads ?? Self.pads(op.window))
        // Readers want pads smaller than the kernel, whatever its dilation.
        let kernel = [op.window.kernelH, op.window.kernelW]
        if zip(rest, kernel + kernel).contains(where: { $0 >= $1 }) {
            let amounts = integers("\(node.name):pads", [0, 0, rest[0], rest[1], 0, 0, rest[2], rest[3]])
            let least = try numbers("\(node.name):least", [-Double.infinity])
            input = step(node, "padded", "Pad", [input, amounts, least])
            rest = [0, 0, 0, 0]
        }
        let isCeil = op.ceilMode && pads == nil
        finish(
            node, "MaxPool", [input], flat: false,
            Self.attributes(op.window, pads: rest) + (isCeil ? [.integer("ceil_mode", 1)] : []))
    }

    private mutating func export(_ node: Node, _ op: AveragePool, _ source: String) throws(RengaError) {
        let window = op.window
        var pads = Self.pads(window)
        let hasPads = pads.contains { $0 > 0 }
        // Places beyond the pad count in no divisor of ours: where they mix with a pad that does, the pad becomes part of the map.
        let padsFirst = op.ceilMode && op.countIncludePad && hasPads
        var input = source
        let explicit = try self.pads(node, window, isCeil: op.ceilMode, always: padsFirst)
        if padsFirst {
            let amounts = integers("\(node.name):pads", [0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]])
            input = step(node, "padded", "Pad", [input, amounts])
            pads = zip(explicit ?? pads, pads).map { $0 - $1 }
        } else {
            pads = explicit ?? pads
        }
        guard window.dilationH == 1 && window.dilationW == 1 || options.opset >= 19 else {
            throw RengaError(.unsupported, "average pooling with dilation needs opset=19, got \(options.opset)")
        }
        let counts = op.countIncludePad && hasPads && !padsFirst
        var attributes = Self.attributes(window, pads: pads)
        if options.opset < 19 { attributes.removeLast() }
        if counts { attributes.append(.integer("count_include_pad", 1)) }
        if op.ceilMode && explicit == nil { attributes.append(.integer("ceil_mode", 1)) }
        finish(node, "AveragePool", [input], flat: false, attributes)
    }

    /// The pads with which all places of a pool in ceil mode fit without it, for the network's image size; nil where ONNX' own ceil mode has
    /// the same places for any size, or none is asked for. ONNX counts a last place that lies in the pad alone, we do not (nor PyTorch).
    private func pads(
        _ node: Node, _ window: Window, isCeil: Bool, always: Bool = false
    ) throws(RengaError) -> [Int]? {
        guard isCeil else { return nil }
        let isSame =
            window.padBottom == 0 && window.padRight == 0 && window.strideH <= window.extentH
            && window.strideW <= window.extentW
        if isSame && !always { return nil }
        guard !options.hasDynamicSize else {
            throw RengaError(
                .unsupported,
                "with dynamic_size=yes ceil_mode has a form in ONNX only without pads below and on the right")
        }
        let src = shapes[node.inputs[0]]
        let dst = shapes[network.value(ofNode: network.nodes.firstIndex { $0.name == node.name } ?? 0)]
        let rows = (dst.h - 1) * window.strideH + window.extentH - src.h - window.padTop
        let columns = (dst.w - 1) * window.strideW + window.extentW - src.w - window.padLeft
        return [window.padTop, window.padLeft, max(rows, 0), max(columns, 0)]
    }
}

// MARK: - Pads, slices, sizes

extension ONNXExporter {
    private mutating func export(_ node: Node, _ op: Pad, _ source: String) throws(RengaError) {
        guard op.mode != .wrap || options.opset >= 19 else {
            throw RengaError(.unsupported, "mode=wrap needs opset=19, got \(options.opset)")
        }
        let ends = [op.c, op.h, op.w]
        let added = [0] + ends.map { max($0.before, 0) } + [0] + ends.map { max($0.after, 0) }
        // What is taken off goes afterwards: the places that are added are made from the whole map.
        let cuts = ends.map { end in
            Slice.Range(start: max(-end.before, 0), end: end.after < 0 ? end.after : Slice.farthest)
        }
        var inputs = [source, integers("\(node.name):pads", added)]
        if op.mode == .constant && op.value != 0 { inputs.append(try numbers("\(node.name):value", [op.value])) }
        let mode = ONNXExportAttribute.text("mode", op.mode.rawValue)
        if cuts.allSatisfy({ $0 == Slice.Range() }) { return finish(node, "Pad", inputs, flat: false, [mode]) }
        finishSlice(node, step(node, "padded", "Pad", inputs, [mode]), cuts)
    }

    /// Ends a layer by a slice of channels, rows and columns.
    private mutating func finishSlice(_ node: Node, _ source: String, _ ranges: [Slice.Range]) {
        let cut = ranges.indices.filter { ranges[$0] != Slice.Range() }
        let lists = [
            ("starts", cut.map { ranges[$0].start }), ("ends", cut.map { ranges[$0].end }),
            ("axes", cut.map { $0 + 1 }),
            ("steps", cut.map { ranges[$0].step }),
        ]
        guard !cut.isEmpty else { return finish(node, "Identity", [source], flat: false) }
        var inputs = [source]
        for (what, values) in lists { inputs.append(integers("\(node.name):\(what)", values)) }
        finish(node, "Slice", inputs, flat: false)
    }

    private mutating func export(_ node: Node, _ op: Resize, _ source: String) throws(RengaError) {
        guard !op.antialias || options.opset >= 18, op.coordinates != .halfPixelSymmetric || options.opset >= 19 else {
            throw RengaError(
                .unsupported,
                "antialias needs opset=18, coordinates=half_pixel_symmetric opset=19, got \(options.opset)")
        }
        let src = shapes[node.inputs[0]]
        var attributes: [ONNXExportAttribute] = [
            .text("mode", op.mode.rawValue), .text("coordinate_transformation_mode", op.coordinates.rawValue),
            .text("nearest_mode", op.nearest.rawValue), .float("cubic_coeff_a", op.cubicA),
            .integer("exclude_outside", op.excludesOutside ? 1 : 0), .float("extrapolation_value", op.extrapolation),
        ]
        if options.opset >= 18 { attributes.append(.integer("antialias", op.antialias ? 1 : 0)) }
        var inputs = [source, ""]
        if op.coordinates == .cropAndResize {
            let part = [0, 0, op.h.cropStart, op.w.cropStart, 1, 1, op.h.cropEnd, op.w.cropEnd]
            inputs[1] = try numbers("\(node.name):part", part, [8])
        }
        let dst = try op.outputShape([src])
        if op.h.scale == 0 && op.w.scale == 0 && options.opset >= 18 {
            attributes.append(.integers("axes", [2, 3]))
            inputs += ["", integers("\(node.name):sizes", [dst.h, dst.w])]
        } else {
            guard !options.hasDynamicSize || op.h.scale > 0 && op.w.scale > 0 else {
                throw RengaError(.unsupported, "a size with dynamic_size=yes needs opset=18, got \(options.opset)")
            }
            let scales = [try Self.scale(op.h, src.h, dst.h), try Self.scale(op.w, src.w, dst.w)]
            inputs.append(try numbers("\(node.name):scales", [1, 1] + scales, [4]))
        }
        finish(node, "Resize", inputs, flat: false, attributes)
    }

    /// A scale that makes `dst` of `src`, be it that readers multiply in f32 or in double.
    private static func scale(_ axis: Resize.Axis, _ src: Int, _ dst: Int) throws(RengaError) -> Double {
        func makes(_ scale: Float) -> Bool {
            Int((Float(src) * scale).rounded(.down)) == dst && Int(Double(src) * Double(scale)) == dst
        }
        let own = Float(axis.scale > 0 ? axis.scale : Double(dst) / Double(src))
        if makes(own) { return Double(own) }
        guard axis.scale == 0, makes(own.nextUp) else {
            throw RengaError(.unsupported, "size and scale of \(src) -> \(dst) have no common form in ONNX")
        }
        return Double(own.nextUp)
    }
}
