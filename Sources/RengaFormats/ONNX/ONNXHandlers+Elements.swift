// ONNXHandlers+Elements.swift: functions of each element, and of the same element of several maps.
// Not here: what becomes of factors and offsets (ONNXHandlers.swift).
import RengaNetwork

extension ONNXHandlers {
    static func activation(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let (id, view, _) = try importer.map(node)
        let alpha = node.attributes["alpha"].map { decimal($0.float) }
        let beta = node.attributes["beta"].map { decimal($0.float) }
        let op: any Operator =
            switch node.type {
            case "Relu": ReLU()
            case "LeakyRelu": Activation(.leakyReLU, alpha: alpha)
            case "Elu": Activation(.elu, alpha: alpha)
            case "Sigmoid": Activation(.sigmoid)
            case "Tanh": Activation(.tanh)
            case "HardSigmoid": Activation(.hardSigmoid, alpha: alpha, beta: beta)
            case "HardSwish": Activation(.hardSwish)
            case "Softplus": Activation(.softplus)
            default: Activation(.silu)
            }
        guard node.type != "Swish" || alpha ?? 1 == 1 else {
            throw RengaError(.unsupported, "its alpha is not 1")
        }
        importer.set(node, try importer.add(node, op, [id]), view)
    }

    static func clip(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        var bounds: [Double?] = [
            node.attributes["min"].map { Double($0.float) }, node.attributes["max"].map { Double($0.float) },
        ]
        for index in 0..<2 where importer.has(node, index + 1) {
            bounds[index] = try importer.required(node, index + 1, "bound").values().first
        }
        try clip(importer, node, least: bounds[0], most: bounds[1])
    }

    private static func clip(
        _ importer: ONNXImporter, _ node: ONNXNode, input: Int = 0, least: Double?, most: Double?
    ) throws(RengaError) {
        let (id, view, _) = try importer.map(node, input)
        let bound = Activation.largestNumber
        let (least, most) = (max(least ?? -bound, -bound), min(most ?? bound, bound))
        let op: any Operator = least == 0 && most == bound ? ReLU() : Activation(.clip, alpha: least, beta: most)
        importer.set(node, try importer.add(node, op, [id]), view)
    }

    static func prelu(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let (id, view, shape) = try importer.map(node)
        var slope = try importer.required(node, 1, "slope")
        if importer.operatorSet < 7, slope.dimensions.count == 1, view.rank > 1 {
            slope = try slope.reshaped(slope.dimensions + [Int](repeating: 1, count: view.rank - 2))
        }
        let values = try channelValues(slope, view, shape)
        importer.set(
            node, try importer.add(node, PReLU(), [id], [ONNXWeight("slope", .slope, values)], like: node.inputs[1]),
            view)
    }

    static func negate(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        try importer.forward(node) { (value) throws(RengaError) in
            try append(importer, &value, .multiply, ONNXConstant([], [-1], isInteger: false))
        }
    }

    // MARK: - A map and constants

    /// A number for each channel in the order of memory, from constants that broadcast to the map.
    private static func channelValues(
        _ constant: ONNXConstant, _ view: ONNXView, _ shape: Shape
    ) throws(RengaError) -> [Double] {
        let values = try constant.values()
        guard values.count != 1 else { return [Double](repeating: values[0], count: shape.c) }
        let dimensions = constant.dimensions
        let axes = dimensions.indices.filter { dimensions[$0] != 1 }
        let axis = axes.first.map { view.rank - dimensions.count + $0 } ?? 0
        guard axes.count == 1, axis >= 0, let places = view.channelPlaces(axis, shape), places.count == values.count
        else {
            throw RengaError(
                .unsupported,
                "its constants \(dimensions) differ between pixels or images; one for each channel is understood")
        }
        var ordered = values
        for (element, place) in places.enumerated() { ordered[place] = values[element] }
        return ordered
    }

    private static func append(
        _ importer: ONNXImporter, _ value: inout ONNXValue, _ kind: ONNXStep.Kind, _ constant: ONNXConstant
    ) throws(RengaError) {
        guard let map = value.map, constant.dimensions.count <= value.view.rank || constant.count == 1 else {
            throw RengaError(.unsupported, "its constants \(constant.dimensions) have more axes than the map")
        }
        let values = try channelValues(constant, value.view, importer.shapes[map])
        try importer.charge(8, values.count)
        value.steps.append(ONNXStep(kind: kind, values: values, isScalar: constant.count == 1))
    }

    static func arithmetic(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let kinds: [String: ONNXStep.Kind] = ["Add": .add, "Sub": .subtract, "Mul": .multiply, "Div": .divide]
        let functions: [String: Arithmetic.Function] = [
            "Add": .add, "Sub": .subtract, "Mul": .multiply, "Div": .divide,
        ]
        guard node.inputs.count == 2, let kind = kinds[node.type], let function = functions[node.type] else {
            throw RengaError(.corruptData, "a node '\(node.name.prefix(200))' of \(node.inputs.count) inputs")
        }
        if let constant = importer.constant(node, 1) {
            return try importer.forward(node) { (value) throws(RengaError) in
                try append(importer, &value, kind, try old(importer, node, constant, value.view.rank))
            }
        }
        if let constant = importer.constant(node, 0) {
            guard kind != .divide else { throw RengaError(.unsupported, "constants divided by a map") }
            return try importer.forward(node, 1) { (value) throws(RengaError) in
                if kind == .subtract {
                    try append(importer, &value, .multiply, ONNXConstant([], [-1], isInteger: false))
                }
                try append(importer, &value, kind == .multiply ? .multiply : .add, constant)
            }
        }
        let (a, b) = (try importer.map(node, 0), try importer.map(node, 1))
        if kind == .multiply, let op = gated(importer, a.id, b.id) ?? gated(importer, b.id, a.id) {
            let source = gated(importer, a.id, b.id) != nil ? a : b
            return importer.set(node, try importer.add(node, op, [source.id]), source.view)
        }
        let (id, view) = try combine(importer, node, function, (a.id, a.view), (b.id, b.view))
        importer.set(node, id, view)
    }

    /// Operator sets before 7 name the axis where the second input begins.
    private static func old(
        _ importer: ONNXImporter, _ node: ONNXNode, _ constant: ONNXConstant, _ rank: Int
    ) throws(RengaError) -> ONNXConstant {
        guard importer.operatorSet < 7, let axis = node.attributes["axis"]?.integer else { return constant }
        let behind = rank - (axis < 0 ? axis &+ rank : axis) - constant.dimensions.count
        guard (0...rank).contains(behind) else { throw RengaError(.shapeMismatch, "its axis \(axis)") }
        return try constant.reshaped(constant.dimensions + [Int](repeating: 1, count: behind))
    }

    /// x sigmoid(x), or x hard_sigmoid(x) with a slope of 1/6: activations with names of their own.
    private static func gated(_ importer: ONNXImporter, _ source: ValueID, _ gate: ValueID) -> Activation? {
        guard gate >= importer.inputs.count else { return nil }
        let layer = importer.layers[gate - importer.inputs.count]
        guard layer.inputs == [source], let gate = layer.op as? Activation else { return nil }
        switch gate.function {
        case .sigmoid: return Activation(.silu)
        case .hardSigmoid where abs(gate.alpha - 1 / 6) < 1e-6 && gate.beta == 0.5: return Activation(.hardSwish)
        default: return nil
        }
    }

    // MARK: - Several maps

    /// Two maps element by element, their axes aligned as NumPy aligns them.
    static func combine(
        _ importer: ONNXImporter, _ node: ONNXNode, _ function: Arithmetic.Function, _ a: (id: ValueID, view: ONNXView),
        _ b: (id: ValueID, view: ONNXView)
    ) throws(RengaError) -> (id: ValueID, view: ONNXView) {
        let rank = max(a.view.rank, b.view.rank)
        let padded = { (view: ONNXView) in [[ONNXFactor]](repeating: [], count: rank - view.rank) + view.axes }
        var axes: [[ONNXFactor]] = []
        for (first, second) in zip(padded(a.view), padded(b.view)) {
            guard first == second || first.isEmpty || second.isEmpty else {
                throw RengaError(
                    .unsupported,
                    "its inputs lie differently in memory, or do not fit: "
                        + "\(a.view.extents.map(\.count)) and \(b.view.extents.map(\.count))")
            }
            axes.append(first.isEmpty ? second : first)
        }
        // What lies along one axis of memory must be at the same place in both.
        for axis in [ONNXFactor.Axis.n, .h, .w, .c] {
            let places = [a.view, b.view].map { view in
                padded(view).indices.filter { padded(view)[$0].contains { $0.axis == axis } }
            }
            guard places[0] == places[1] || (axis != .n && places.contains([])) else {
                throw RengaError(.unsupported, "its inputs have their axes in different orders")
            }
        }
        let op: any Operator =
            function == .add && importer.shapes[a.id] == importer.shapes[b.id] ? Add() : Arithmetic(function)
        return (try importer.add(node, op, [a.id, b.id]), ONNXView(axes))
    }

    /// Sum, Mean, Max and Min of any number of inputs.
    static func several(_ importer: ONNXImporter, _ node: ONNXNode) throws(RengaError) {
        let isExtreme = node.type == "Max" || node.type == "Min"
        if isExtreme, node.inputs.count == 2 {
            for index in 0..<2 {
                guard let constant = importer.constant(node, index) else { continue }
                guard constant.count == 1, let bound = try constant.values().first else {
                    throw RengaError(.unsupported, "its constants \(constant.dimensions) are more than one number")
                }
                let isMax = node.type == "Max"
                return try clip(
                    importer, node, input: 1 - index, least: isMax ? bound : nil, most: isMax ? nil : bound)
            }
        }
        var maps: [(id: ValueID, view: ONNXView)] = []
        for index in node.inputs.indices {
            let map = try importer.map(node, index)
            maps.append((map.id, map.view))
        }
        guard var result = maps.first else { throw RengaError(.corruptData, "a \(node.type) of nothing") }
        let isPlain = maps.allSatisfy { $0.view == result.view && importer.shapes[$0.id] == importer.shapes[result.id] }
        if maps.count == 1 { return importer.set(node, result.id, result.view) }
        if node.type == "Mean" || (node.type == "Sum" && isPlain) {
            guard isPlain, maps.count <= Network.mostInputs else {
                throw RengaError(.unsupported, "its inputs have different shapes, or are over \(Network.mostInputs)")
            }
            let op: any Operator = node.type == "Mean" ? Mean() : Add()
            return importer.set(node, try importer.add(node, op, maps.map(\.id)), result.view)
        }
        let function: Arithmetic.Function = node.type == "Sum" ? .add : node.type == "Max" ? .maximum : .minimum
        for other in maps.dropFirst() { result = try combine(importer, node, function, result, other) }
        importer.set(node, result.id, result.view)
    }
}
