// ONNXHandlers+Resize.swift: Resize and Upsample of all operator sets.
// Not here: the interpolation (RengaNetwork's Resize).
import RengaNetwork

extension ONNXHandlers {
    static func resize(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        var (id, view, shape) = try importer.map(node)
        let isOld = node.type == "Upsample" || importer.operatorSet < 11
        let attributes = node.attributes
        func word(_ attribute: String, _ otherwise: String) -> String { attributes[attribute]?.text ?? otherwise }
        let name = word("mode", "nearest")
        guard let mode = Resize.Mode(rawValue: name == "bilinear" ? "linear" : name),
            let coordinates = isOld
                ? .asymmetric : Resize.Coordinates(rawValue: word("coordinate_transformation_mode", "half_pixel")),
            let nearest = isOld ? .floor : Resize.Nearest(rawValue: word("nearest_mode", "round_prefer_floor"))
        else { throw RengaError(.unsupported, "its mode '\(name)', its coordinates or its rounding are not known") }
        // An axis that nobody resizes keeps its size, whatever that is.
        var op = Resize(mode, h: Resize.Axis(scale: 1), w: Resize.Axis(scale: 1))
        op.coordinates = coordinates
        op.nearest = nearest
        op.cubicA = decimal(attributes["cubic_coeff_a"]?.float ?? -0.75)
        op.excludesOutside = attributes["exclude_outside"]?.integer == 1
        op.antialias = attributes["antialias"]?.integer == 1
        op.extrapolation = Double(attributes["extrapolation_value"]?.float ?? 0)
        var letters: [(axis: Int, letter: ONNXFactor.Axis)] = []
        for (axis, target) in try targets(importer, node, view, isOld) {
            guard let letter = letter(view, axis, shape), letter != .c else {
                throw RengaError(.unsupported, "it resizes axis \(axis), which is neither rows nor columns of the map")
            }
            if letter == .h { op.h = target } else { op.w = target }
            letters.append((axis, letter))
        }
        if !letters.isEmpty { id = try importer.add(node, op, [id]) }
        for (axis, letter) in letters { view.axes[axis] = whole(letter, importer.shapes[id]) }
        importer.set(node, id, view)
    }

    /// The axes that change, with their sizes or scales and the parts that are cropped.
    private static func targets(
        _ importer: ONNXImporter, _ node: ONNXNode, _ view: ONNXView, _ isOld: Bool
    ) throws(RengaError) -> [(axis: Int, target: Resize.Axis)] {
        let axes = (node.attributes["axes"]?.integers).flatMap { $0.isEmpty ? nil : $0 } ?? Array(0..<view.rank)
        var indices: [Int] = []
        for axis in axes {
            guard let index = view.index(axis) else { throw RengaError(.shapeMismatch, "its axis \(axis)") }
            indices.append(index)
        }
        let sizes = try sizes(importer, node, view, indices)
        var scales: [Double] = []
        if let given = node.attributes["scales"]?.floats, node.type == "Upsample" {
            scales = given.map { Double($0) }
        } else if sizes == nil {
            scales = try importer.required(node, isOld ? 1 : 2, "scales").values()
        }
        var part: [Double] = []
        let crops = node.attributes["coordinate_transformation_mode"]?.text == "tf_crop_and_resize"
        if crops { part = try importer.required(node, 1, "roi").values() }
        guard sizes != nil || scales.count == indices.count, !crops || part.count == 2 * indices.count else {
            throw RengaError(.shapeMismatch, "its scales or its roi do not fit \(indices.count) axes")
        }
        var targets: [(axis: Int, target: Resize.Axis)] = []
        for (place, index) in indices.enumerated() {
            var target = sizes?[place] ?? Resize.Axis(scale: scales[place])
            if crops { (target.cropStart, target.cropEnd) = (part[place], part[indices.count + place]) }
            let isWhole =
                target.scale == 1 || (target.scale == 0 && target.size == ONNXView.extent(view.axes[index]).count)
            let isCut = crops && (target.cropStart, target.cropEnd) != (0, 1)
            if !isWhole || isCut { targets.append((index, target)) }
        }
        return targets
    }

    /// What the sizes say of each axis that is named; nil where scales are given instead.
    private static func sizes(
        _ importer: ONNXImporter, _ node: ONNXNode, _ view: ONNXView, _ axes: [Int]
    ) throws(RengaError) -> [Resize.Axis]? {
        guard importer.operatorSet >= 11, importer.has(node, 3) else { return nil }
        let constant = try importer.required(node, 3, "sizes")
        let (values, slopes) = try constant.linear()
        guard values.count == axes.count else {
            throw RengaError(.shapeMismatch, "it has \(values.count) sizes for \(axes.count) axes")
        }
        var sizes: [Resize.Axis] = []
        for (place, axis) in axes.enumerated() {
            let extent = ONNXView.extent(view.axes[axis])
            if extent.isPerImage, values[place] == 0, !slopes.isEmpty, slopes[place] == Double(extent.count) {
                sizes.append(Resize.Axis(scale: 1))
                continue
            }
            guard let size = Int(exactly: values[place]), size >= 1, slopes.isEmpty || slopes[place] == 0 else {
                throw RengaError(.unsupported, "one of its sizes is \(values[place]), or the number of images")
            }
            // A size that was computed from that of the image is meant as a factor, for images of other sizes, too.
            let isFactor = constant.dependsOnImage && size % max(extent.count, 1) == 0
            sizes.append(isFactor ? Resize.Axis(scale: Double(size / extent.count)) : Resize.Axis(size: size))
        }
        let policy = node.attributes["keep_aspect_ratio_policy"]?.text ?? "stretch"
        guard policy != "stretch" else { return sizes }
        let extents = axes.map { Double(max(ONNXView.extent(view.axes[$0]).count, 1)) }
        let ratios = zip(values, extents).map { $0 / $1 }
        guard let scale = policy == "not_larger" ? ratios.min() : ratios.max() else { return sizes }
        return extents.map { extent in
            Resize.Axis(size: Int((scale * extent + 0.5).rounded(.down)), scale: scale)
        }
    }
}
