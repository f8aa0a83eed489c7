// ONNXHandlers+Shapes.swift: what changes the shape of a map and moves nothing: views of it, and the shapes that nodes ask for.
// Not here: how a view works (ONNXView.swift), shapes as numbers (ONNXFolding.swift), parts of maps (ONNXHandlers+Parts.swift).
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
