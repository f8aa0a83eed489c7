// Emitter+Parameters.swift: parameters, their gradients, and weights in the form that a convolution's kernels want.
// Not here: where parameters live (WeightSource).
import CRengaKernels
import RengaNetwork

extension Emitter {
    /// The full name of a node's parameter.
    func parameterName(_ node: Int, _ name: String) -> String { "\(graph.nodes[node].name).\(name)" }

    /// A parameter of a node.
    package func parameter(_ node: Int, _ name: String) throws(RengaError) -> BufferID {
        let full = parameterName(node, name)
        if let known = names.parameters[full] { return known }
        let (pointer, floats) = try weights.parameter(full)
        let made = external(full, pointer, floats: floats)
        names.parameters[full] = made
        return made
    }

    /// Where the gradient of a node's parameter goes, or nil where it is not trained.
    package func parameterGradient(_ node: Int, _ name: String) -> UnsafeMutablePointer<Float>? {
        weights.gradient(parameterName(node, name))
    }

    /// Numbers that are computed once, when the plan is compiled; `key` says all that they depend on.
    /// For inference only: in training parameters change.
    func constantPointer(
        _ key: String, floats: Int, _ fill: (UnsafeMutablePointer<Float>) throws(RengaError) -> Void
    ) throws(RengaError) -> UnsafeMutablePointer<Float> {
        try constants(key).constant(key, floats: floats, fill)
    }

    private func constants(_ key: String) throws(RengaError) -> ConstantStore {
        guard let store = weights as? ConstantStore else {
            throw RengaError(.internalFault, "'\(key)' is no constant while parameters change")
        }
        return store
    }

    /// The plan of one convolution pass over maps of `type`. Plans of the same weights for other batches take the same algorithm, so that
    /// an image gives the same bits in any batch and packed weights are shared: what was forced for the layer, then what keeps its weights as
    /// asked for, then what was forced for all, then timed, then the rule's. `part`: for some of the layer's channels.
    func convolutionPlan(
        _ node: Int, _ shape: rk_conv_shape, _ pass: rk_conv_pass, _ type: rk_type, part: Bool = false
    ) throws(RengaError) -> rk_conv_plan {
        let name = graph.nodes[node].name
        let key = "\(name):\(pass.rawValue)\(part ? ":part" : "")"
        let forced = settings.layerAlgorithms[name]
        // Upon a layer's forward pass an algorithm is forced; its other passes take it where they can.
        let fixed = weights.algorithms[key] ?? (pass == RK_CONV_FORWARD ? forced : nil)
        let wished = forced ?? settings.algorithm
        let free = weightAlgorithms(node, pass, type) + (wished == RK_CONV_AUTO ? [wished] : [wished, RK_CONV_AUTO])
        let threads = Int32(clamping: settings.threads)
        var shape = shape
        // Chosen for the whole batch, so that it does not depend on the size of a band's chunks.
        shape.n = Int64(batch)
        for wish in fixed.map({ [$0] }) ?? free {
            var plan = rk_conv_plan()
            let timed = wish == RK_CONV_AUTO && settings.tune
            let status =
                timed
                ? rk_conv_plan_tuned(&plan, &shape, pass, type, isa, threads)
                : rk_conv_plan_init(&plan, &shape, pass, type, wish, isa, threads)
            guard status == 0 else { continue }
            weights.algorithms[key] = plan.algorithm
            guard let band else { return plan }
            shape.n = Int64(band.view.images)
            guard rk_conv_plan_init(&plan, &shape, pass, type, plan.algorithm, isa, 0) == 0 else { break }
            return plan
        }
        let missing =
            fixed.map { "the algorithm '\(algorithmName($0))' does not take" } ?? "no convolution kernel takes"
        throw RengaError(.unsupported, "layer '\(name)': \(missing) its size")
    }

    /// The algorithms that keep a layer's weights in what the session asks for, where that is not the maps' business.
    private func weightAlgorithms(_ node: Int, _ pass: rk_conv_pass, _ type: rk_type) -> [rk_conv_algorithm] {
        guard settings.purpose == .inference, settings.linearWeights == .bf16, pass == RK_CONV_FORWARD,
            graph.nodes[node].op is Linear
        else { return [] }
        // Where products of bf16 are to be had, the rule's choice for such maps keeps its weights in bf16.
        let keeps = type == RK_BF16 && isa.rawValue >= RK_ISA_AVX512_BF16.rawValue
        return keeps ? [RK_CONV_AUTO] : [RK_CONV_STREAM_BF16]
    }

    /// The weights of a convolution, packed for `plan`: once for inference, by a step of their own in training.
    func packedWeight(_ node: Int, _ plan: rk_conv_plan) throws(RengaError) -> BufferID {
        let floats = Int(clamping: plan.packed_floats)
        let name = parameterName(node, "weight")
        guard floats > 0 else { return try parameter(node, "weight") }
        if settings.purpose == .inference {
            // Packing depends on the shape without n, the algorithm and the instruction set, which all plans of a store share.
            let key = "\(name):packed:\(plan.algorithm.rawValue)"
            return external(key, try constants(key).packed(key, name, plan, floats: floats), floats: floats)
        }
        let key = "\(name):packed:\(plan.pass.rawValue)"
        if let known = names.named[key] { return known }
        let weight = try parameter(node, "weight")
        let packed = try buffer(key, floats: floats)
        let args = rk_conv_pack_args(
            plan: try keep(plan), weight: self.floats(weight), packed: self.floats(packed), scale: nil,
            first: 0, channels: 0)
        try add(rk_conv_pack, args, plan.pass == RK_CONV_FORWARD ? "pack" : "pack transposed")
        return packed
    }

    /// Packs the weights of a convolution now: the next steps that ask for them take these.
    func prepareWeight(_ node: Int, _ plan: rk_conv_plan) throws(RengaError) {
        guard plan.packed_floats > 0 else { return }
        let packed = try packedWeight(node, plan)
        names.named["\(parameterName(node, "weight")):packed:\(plan.pass.rawValue)"] = packed
    }

    /// Where a step puts its part of a parameter's gradient: in a band, each chunk has a part, and they are added behind it, in order.
    func partial(
        _ node: Int, _ name: String, _ whole: UnsafeMutablePointer<Float>
    ) throws(RengaError) -> UnsafeMutablePointer<Float>? {
        guard band != nil else { return whole }
        let count = elements(of: try parameter(node, name))
        let parts = try chunked("d \(parameterName(node, name)):parts", floats: count)
        behind { [unowned self] () throws(RengaError) in
            let (number, _, step) = self.parts(parts)
            var args = rk_sum_parts_args()
            (args.isa, args.count, args.count_parts) = (isa, Int64(count), Int64(number))
            (args.part_step, args.parts, args.dst) = (Int64(step), UnsafePointer(floats(parts)), whole)
            try add(rk_sum_parts, args, "add \(name)")
        }
        return floats(parts)
    }
}

/// "direct", "reference", …
func algorithmName(_ algorithm: rk_conv_algorithm) -> String { String(cString: rk_conv_algorithm_name(algorithm)) }
