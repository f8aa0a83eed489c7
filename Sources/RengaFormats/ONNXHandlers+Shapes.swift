// ONNXHandlers+Shapes.swift: what changes the shape of a map: views that move nothing, and parts, pads, other sizes and means of it.
// Not here: how a view works (ONNXView.swift), shapes as numbers (ONNXFolding.swift).
import RengaNetwork

extension ONNXImporter {
    /// The extents of a shape as constants, as Shape gives them.
    func shape(_ node: ONNXNode, _ extents: [ONNXExtent]) -> ONNXConstant {
        func place(_ attribute: String, _ otherwise: Int) -> Int {
            guard let given = node.attributes[attribute]?.integer else { return otherwise }
            return min(max(given < 0 ? given &+ extents.count : given, 0), extents.count)
        }
        let begin = place("start", 0)
        let part = extents[begin..<max(begin, place("end", extents.count))]
        return ONNXConstant(
            [part.count], part.map { $0.isPerImage ? 0 : Double($0.count) },
            slopes: part.map { $0.isPerImage ? Double($0.count) : 0 }, isInteger: true)
    }

    /// The extents that Reshape, Flatten, Squeeze and Unsqueeze ask for; nil: what is left.
    func targets(_ node: ONNXNode, _ extents: [ONNXExtent]) throws(RengaError) -> [ONNXExtent?] {
        let one = ONNXExtent(count: 1, isPerImage: false)
        func product(_ part: ArraySlice<ONNXExtent>) -> ONNXExtent {
            ONNXExtent(
                count: part.reduce(1) { $0.saturatingTimes($1.count) }, isPerImage: part.contains { $0.isPerImage })
        }
        func axes(_ rank: Int) throws(RengaError) -> [Int]? {
            guard let given = try integers(node, "axes", input: 1) else { return nil }
            let axes = given.map { $0 < 0 ? $0 &+ rank : $0 }
            guard axes.allSatisfy((0..<rank).contains), Set(axes).count == axes.count else {
                throw RengaError(.shapeMismatch, "its axes \(given) are not those of \(rank) axes")
            }
            return axes
        }
        switch node.type {
        case "Flatten":
            let given = node.attributes["axis"]?.integer ?? 1
            let axis = given < 0 ? given &+ extents.count : given
            guard (0...extents.count).contains(axis) else { throw RengaError(.shapeMismatch, "its axis is \(given)") }
            return [product(extents[..<axis]), product(extents[axis...])]
        case "Squeeze":
            let axes = try axes(extents.count) ?? extents.indices.filter { extents[$0] == one }
            guard axes.allSatisfy({ extents[$0] == one }) else {
                throw RengaError(.shapeMismatch, "it takes away axes \(axes) of \(extents.map(\.count))")
            }
            return extents.indices.filter { !axes.contains($0) }.map { extents[$0] }
        case "Unsqueeze":
            let count = try integers(node, "axes", input: 1)?.count ?? 0
            guard count <= 16, let axes = try axes(extents.count + count) else {
                throw RengaError(.unsupported, "its axes are missing")
            }
            var rest = extents[...]
            return (0..<extents.count + count).map { axes.contains($0) ? one : rest.popFirst() }
        default: return try reshapeTargets(node, extents)
        }
    }

    private func reshapeTargets(_ node: ONNXNode, _ extents: [ONNXExtent]) throws(RengaError) -> [ONNXExtent?] {
        let (values, slopes) =
            if let given = node.attributes["shape"]?.integers, !has(node, 1) {
                (given.map { Double($0) }, [Double]())
            } else {
                try required(node, 1, "shape").linear()
            }
        guard values.count <= 16 else { throw RengaError(.unsupported, "it asks for \(values.count) axes") }
        var targets: [ONNXExtent?] = []
        for (index, value) in values.enumerated() {
            let slope = slopes.isEmpty ? 0 : slopes[index]
            if slope != 0 {
                guard value == 0, let count = Int(exactly: slope), count > 0 else {
                    throw RengaError(.unsupported, "one of its extents is \(slope) for each image and \(value)")
                }
                targets.append(ONNXExtent(count: count, isPerImage: true))
            } else if value == 0, node.attributes["allowzero"]?.integer != 1, extents.indices.contains(index) {
                targets.append(extents[index])
            } else if value == -1 {
                targets.append(nil)
            } else {
                guard let count = Int(exactly: value), count >= 0 else {
                    throw RengaError(.shapeMismatch, "one of its extents is \(value)")
                }
                targets.append(ONNXExtent(count: count, isPerImage: false))
            }
        }
        return targets
    }

    /// What Slice takes of each axis that it names.
    func slices(_ node: ONNXNode, rank: Int) throws(RengaError) -> [(axis: Int, range: Slice.Range)] {
        let starts = try integers(node, "starts", input: 1) ?? []
        let ends = try integers(node, "ends", input: 2) ?? []
        let axes = try integers(node, "axes", input: 3) ?? Array(starts.indices)
        let steps = try integers(node, "steps", input: 4) ?? [Int](repeating: 1, count: starts.count)
        guard ends.count == starts.count, axes.count == starts.count, steps.count == starts.count else {
            throw RengaError(.shapeMismatch, "its starts, ends, axes and steps differ in number")
        }
        let far = Slice.farthest
        var slices: [(axis: Int, range: Slice.Range)] = []
        for index in starts.indices {
            let axis = axes[index] < 0 ? axes[index] &+ rank : axes[index]
            guard (0..<rank).contains(axis), steps[index] != 0 else {
                throw RengaError(.shapeMismatch, "its axes \(axes) or steps \(steps)")
            }
            let clamped = { (place: Int) in min(max(place, -far), far) }
            slices.append(
                (
                    axis,
                    Slice.Range(start: clamped(starts[index]), end: clamped(ends[index]), step: clamped(steps[index]))
                ))
        }
        return slices
    }
}

// MARK: - Views

extension ONNXHandlers {
    static func identity(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        try importer.refuseOutputs(node, from: 1, "what was dropped")
        if node.type == "Cast" {
            guard ONNXElement(rawValue: node.attributes["to"]?.integer ?? 0)?.isFloating == true else {
                throw RengaError(.unsupported, "it casts a map to other than f64, f32, f16 and bf16")
            }
        }
        if node.type == "Dropout", importer.has(node, 2),
            try importer.required(node, 2, "training mode").values().first != 0
        {
            throw RengaError(.unsupported, "it drops at random in inference, too")
        }
        try importer.forward(node) { _ throws(RengaError) in }
    }

    static func transpose(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        try importer.forward(node) { (value) throws(RengaError) in
            let axes = Array(value.view.axes.indices)
            let order = node.attributes["perm"]?.integers ?? axes.reversed()
            guard order.sorted() == axes else { throw RengaError(.shapeMismatch, "its perm \(order) is none") }
            value.view = ONNXView(order.map { value.view.axes[$0] })
        }
    }

    static func reshape(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        try importer.forward(node) { (value) throws(RengaError) in
            let targets = try importer.targets(node, value.view.extents)
            guard let view = value.view.reshaped(targets) else {
                let wanted = targets.map { $0.map { ($0.isPerImage ? "N*" : "") + "\($0.count)" } ?? "-1" }
                throw RengaError(
                    .unsupported,
                    "the shape (\(wanted.joined(separator: ", "))) cuts across the axes of its input "
                        + "(\(value.view.extents.map { ($0.isPerImage ? "N*" : "") + "\($0.count)" }.joined(separator: ", ")))"
                )
            }
            value.view = view
        }
    }

    static func shape(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        var constant = importer.shape(node, try importer.pending(node, 0).view.extents)
        constant.dependsOnImage = true
        importer.set(node, constant)
    }

    static func constant(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let attributes = node.attributes
        if let tensor = attributes["value"]?.tensor {
            importer.set(node, ONNXConstant(tensor))
        } else if let value = attributes["value_float"] {
            importer.set(node, ONNXConstant([], [Double(value.float)], isInteger: false))
        } else if let value = attributes["value_int"] {
            importer.set(node, ONNXConstant([], [Double(value.integer)], isInteger: true))
        } else if let floats = attributes["value_floats"]?.floats {
            importer.set(node, ONNXConstant([floats.count], floats.map { Double($0) }, isInteger: false))
        } else if let integers = attributes["value_ints"]?.integers {
            importer.set(node, ONNXConstant(integers))
        } else {
            throw RengaError(.unsupported, "it holds neither numbers nor a tensor of them")
        }
    }
}

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
