// ONNXHandlers+Parts.swift: what takes or adds parts of a map: slices, splits, joins, pads and means over rows and columns.
// Not here: other sizes (ONNXHandlers+Resize.swift), views that move nothing (ONNXHandlers+Shapes.swift).
import RengaNetwork

// MARK: - Parts and pads

extension ONNXHandlers {
    /// Which axis of memory an axis of the tensor is, whole and in order; of those of extent 1 the one that its place suggests.
    static func letter(_ view: ONNXView, _ axis: Int, _ shape: Shape) -> ONNXFactor.Axis? {
        let extents: [(axis: ONNXFactor.Axis, extent: Int)] = [(.c, shape.c), (.h, shape.h), (.w, shape.w)]
        guard view.axes[axis].isEmpty else {
            return extents.first { view.axes[axis] == ONNXView.whole($0.axis, $0.extent) }?.axis
        }
        let free = extents.filter { $0.extent == 1 }
        let standard: [ONNXFactor.Axis] = view.rank == 3 ? [.n, .c, .w] : [.n, .c, .h, .w]
        let suggested = standard.indices.contains(axis) ? standard[axis] : .w
        return (free.first { $0.axis == suggested } ?? free.first)?.axis
    }

    static func whole(_ axis: ONNXFactor.Axis, _ shape: Shape) -> [ONNXFactor] {
        ONNXView.whole(axis, axis == .h ? shape.h : axis == .w ? shape.w : shape.c)
    }

    /// A map of which some axes are cut.
    private static func cut(
        _ importer: ONNXImporter, _ node: ONNXNode, _ ranges: [(axis: Int, range: Slice.Range)]
    ) throws(RengaError) -> (id: ValueID, view: ONNXView) {
        var (id, view, shape) = try importer.map(node)
        var cuts = Slice()
        var letters: [(axis: Int, letter: ONNXFactor.Axis)] = []
        for (axis, range) in ranges {
            let extent = ONNXView.extent(view.axes[axis])
            let (first, count) = range.resolved(size: extent.count)
            if !extent.isPerImage, first == 0, count == extent.count, range.step == 1 { continue }
            if extent.isPerImage, range.start == 0, range.end >= Slice.farthest, range.step == 1 { continue }
            guard let letter = letter(view, axis, shape), count > 0 else {
                throw RengaError(
                    .unsupported,
                    "axis \(axis) that it cuts is the batch, or lies otherwise in memory, or nothing is left")
            }
            switch letter {
            case .h: cuts.h = range
            case .w: cuts.w = range
            default: cuts.c = range
            }
            letters.append((axis, letter))
        }
        guard !letters.isEmpty else { return (id, view) }
        let (first, count) = cuts.c.resolved(size: shape.c)
        let isChannels = letters.allSatisfy { $0.letter == .c } && cuts.c.step == 1
        id = try importer.add(node, isChannels ? ChannelSlice(begin: first, count: count) as any Operator : cuts, [id])
        for (axis, letter) in letters { view.axes[axis] = whole(letter, importer.shapes[id]) }
        return (id, view)
    }

    static func slice(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let rank = try importer.pending(node, 0).view.rank
        let (id, view) = try cut(importer, node, try importer.slices(node, rank: rank))
        importer.set(node, id, view)
    }

    static func split(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let value = try importer.pending(node, 0)
        guard let axis = value.view.index(node.attributes["axis"]?.integer ?? 0) else {
            throw RengaError(.shapeMismatch, "its axis is beyond the input's")
        }
        let extent = ONNXView.extent(value.view.axes[axis]).count
        let parts = node.outputs.count
        let even = (extent + parts - 1) / max(parts, 1)
        let sizes =
            try importer.integers(node, "split", input: 1)
            ?? (0..<parts).map { min(even, max(extent - $0 * even, 0)) }
        guard sizes.count == parts, sizes.allSatisfy({ $0 > 0 }), sizes.saturatingSum == extent else {
            throw RengaError(.shapeMismatch, "its parts \(sizes) do not make up \(extent)")
        }
        var begin = 0
        for (index, size) in sizes.enumerated() {
            var part = node
            if node.name.isEmpty { part.name = node.outputs[index] }
            let (id, view) = try cut(importer, part, [(axis, Slice.Range(start: begin, end: begin + size))])
            importer.set(node, id, view, output: index)
            begin += size
        }
    }

    static func concat(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        var sources: [ValueID] = []
        var common: ONNXView?
        for index in node.inputs.indices {
            var (id, view, shape) = try importer.map(node, index)
            guard let axis = view.index(node.attributes["axis"]?.integer ?? 1) else {
                throw RengaError(.shapeMismatch, "its axis is beyond the inputs'")
            }
            if !view.isChannels(axis, shape), let flat = try ordered(importer, node, id, view, shape) {
                (id, view) = flat
                shape = importer.shapes[id]
            }
            guard view.isChannels(axis, shape) else {
                throw RengaError(
                    .unsupported, "it joins maps along another axis than the channels, or these lie in another order")
            }
            view.axes[axis] = []
            guard common == nil || common == view else {
                throw RengaError(.unsupported, "its inputs lie differently in memory, or do not fit")
            }
            common = view
            sources.append(id)
        }
        guard var view = common, sources.count <= Network.mostInputs else {
            throw RengaError(.unsupported, "it joins \(sources.count) maps; 1 to \(Network.mostInputs) are joined")
        }
        let id = sources.count == 1 ? sources[0] : try importer.add(node, Concat(), sources)
        view.axes[view.index(node.attributes["axis"]?.integer ?? 1) ?? 0] = ONNXView.whole(.c, importer.shapes[id].c)
        importer.set(node, id, view)
    }

    /// A map [N, all of an image] as a vector in the tensor's own order; nil where that is no order that a flatten has.
    static func ordered(
        _ importer: ONNXImporter, _ node: ONNXNode, _ id: ValueID, _ view: ONNXView, _ shape: Shape
    ) throws(RengaError) -> (id: ValueID, view: ONNXView)? {
        guard view.rank == 2, view.axes[0].map(\.axis) == [.n] else { return nil }
        let order: Flatten.Order
        if view.isOrdered("nchw", shape) {
            order = .nchw
        } else if view.isOrdered("nhwc", shape) {
            order = .nhwc
        } else {
            return nil
        }
        let flat = try importer.flatten(node, order, id)
        return (flat, ONNXView([view.axes[0], ONNXView.whole(.c, shape.countPerImage)]))
    }

    static func pad(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        var (id, view, shape) = try importer.map(node)
        let pads = try importer.integers(node, "pads", input: 1) ?? []
        let axes = try importer.has(node, 3) ? importer.required(node, 3, "axes").integers() : Array(view.axes.indices)
        guard pads.count == 2 * axes.count else {
            throw RengaError(.shapeMismatch, "it has \(pads.count) pads for \(axes.count) axes")
        }
        var value = Double(node.attributes["value"]?.float ?? 0)
        if importer.has(node, 2) { value = try importer.required(node, 2, "value").values().first ?? 0 }
        guard let mode = Pad.Mode(rawValue: node.attributes["mode"]?.text ?? "constant") else {
            throw RengaError(.unsupported, "its mode is '\(node.attributes["mode"]?.text.prefix(40) ?? "")'")
        }
        var op = Pad(mode: mode, value: value)
        var letters: [(axis: Int, letter: ONNXFactor.Axis)] = []
        for (index, given) in axes.enumerated() {
            let ends = Pad.Ends(pads[index], pads[axes.count + index])
            guard ends != Pad.Ends() else { continue }
            guard let axis = view.index(given), let letter = letter(view, axis, shape) else {
                throw RengaError(.unsupported, "axis \(given) that it pads is the batch, or lies otherwise in memory")
            }
            switch letter {
            case .h: op.h = ends
            case .w: op.w = ends
            default: op.c = ends
            }
            letters.append((axis, letter))
        }
        if !letters.isEmpty { id = try importer.add(node, op, [id]) }
        for (axis, letter) in letters { view.axes[axis] = whole(letter, importer.shapes[id]) }
        importer.set(node, id, view)
    }
}

// MARK: - Means

extension ONNXHandlers {
    static func globalPool(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let rank = try importer.pending(node, 0).view.rank
        try reduce(importer, node, axes: Array(2..<max(rank, 2)), keepsAxes: true)
    }

    static func reduce(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let value = try importer.pending(node, 0)
        var axes: [Int] = []
        for given in try importer.integers(node, "axes", input: 1) ?? [] {
            guard let axis = value.view.index(given) else { throw RengaError(.shapeMismatch, "its axis \(given)") }
            axes.append(axis)
        }
        if axes.isEmpty, node.attributes["noop_with_empty_axes"]?.integer != 1 { axes = Array(0..<value.view.rank) }
        try reduce(importer, node, axes: axes, keepsAxes: node.attributes["keepdims"]?.integer != 0)
    }

    private static func reduce(
        _ importer: ONNXImporter, _ node: ONNXNode, axes: [Int], keepsAxes: Bool
    ) throws(RengaError) {
        var (id, view, shape) = try importer.map(node)
        let factors = axes.flatMap { view.axes[$0] }
        let isSpace = factors.allSatisfy { $0.axis == .h || $0.axis == .w }
        guard isSpace, ONNXView.extent(factors).count == shape.h * shape.w || factors.isEmpty else {
            throw RengaError(.unsupported, "it is taken over other axes than rows and columns together")
        }
        if !factors.isEmpty {
            let isMean = node.type == "ReduceMean" || node.type == "GlobalAveragePool"
            id = try importer.add(node, isMean ? GlobalAveragePool() as any Operator : GlobalMaxPool(), [id])
        }
        for axis in axes { view.axes[axis] = [] }
        if !keepsAxes { view.axes = view.axes.indices.filter { !axes.contains($0) }.map { view.axes[$0] } }
        importer.set(node, id, view)
    }
}
