// SumKernels.swift: what sum and mean share: both passes of a scaled sum with an optional ReLU.
// Not here: the operators (Add.swift, Mean.swift).
import CRengaKernels
import RengaNetwork

/// A scaled sum of any number of maps.
struct SumKernels {
    let step: FusedStep
    let scale: Float

    /// The kernel takes so many terms at once: longer sums are carried on in dst, and scaled and rectified at the end.
    func forward(_ emit: Emitter) throws(RengaError) {
        let dst = try emit.value(step.output)
        let elements = emit.shape(step.output).count
        var rest = step.inputs[...]
        var isFirst = true
        while isFirst || !rest.isEmpty {
            let taken = rest.prefix(Int(RK_MAX_SUM) - (isFirst ? 0 : 1))
            rest = rest.dropFirst(taken.count)
            let sources = try taken.map { value throws(RengaError) in try emit.input(value, of: step) }
            var terms = isFirst ? [] : [emit.pointer(dst)]
            for src in sources {
                if isFirst { emit.mayReplace(src, by: dst) }
                terms.append(emit.pointer(src))
            }
            let args = emit.sum(
                of: terms, to: emit.pointer(dst), elements: elements, type: emit.type(of: step),
                scale: rest.isEmpty ? scale : 1, relu: rest.isEmpty && step.activation == .relu)
            try emit.add(rk_sum, args)
            isFirst = false
        }
    }

    func backward(_ emit: Emitter) throws(RengaError) {
        let ddst = try emit.gradient(step.output)
        if step.activation == .relu {
            try emit.maskGradient(step.output, scale: scale)
        } else if scale != 1 {
            try emit.scaleGradient(ddst, by: scale)
        }
        for input in step.inputs { try emit.passGradient(ddst, to: input) }
    }
}
