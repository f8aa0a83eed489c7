// Emitter+Backward.swift: gradients of values: who writes first overwrites, who comes later accumulates; no gradient is copied or cleared.
// Not here: gradients of parameters (Emitter+Parameters).
import CRengaKernels
import RengaNetwork

/// Where a backward kernel puts the gradient of a value.
package struct GradientTarget {
    /// The buffer.
    package let buffer: BufferID
    /// Whether there is something in it to add to.
    package let accumulate: Bool
}

extension Emitter {
    /// The gradient of a value that all of its readers have given their part to.
    package func gradient(_ value: ValueID) throws(RengaError) -> BufferID {
        guard let known = names.gradients[value] else {
            throw RengaError(.internalFault, "the value '\(graph.name(of: value))' has no gradient")
        }
        return known
    }

    /// Where to put this reader's part of the gradient of `value`; nil where nobody needs it.
    package func gradientTarget(_ value: ValueID) throws(RengaError) -> GradientTarget? {
        guard needsGradient.contains(value) else { return nil }
        if let known = names.gradients[value] {
            return GradientTarget(buffer: known, accumulate: unwritten.remove(value) == nil)
        }
        let made = try map("d " + graph.name(of: value), like: value)
        names.gradients[value] = made
        return GradientTarget(buffer: made, accumulate: false)
    }

    /// Masks the gradient of a value that was made by a ReLU, in place: later steps see that of what went into the ReLU.
    package func maskGradient(_ value: ValueID, scale: Float = 1) throws(RengaError) {
        let gradient = try gradient(value)
        let made = try self.value(value)
        var args = rk_relu_backward_args()
        (args.isa, args.type) = (isa, type(of: value))
        args.count = Int64(shape(value).count)
        args.dst = UnsafeRawPointer(pointer(made))
        args.ddst = UnsafeRawPointer(pointer(gradient))
        args.scale = scale
        args.dsrc = UnsafeMutableRawPointer(pointer(gradient))
        try add(rk_relu_backward, args, "backward relu")
    }

    /// Gives `gradient`, whole and of any type, to a value that was added: by taking its place where nobody reads it later, else by a copy
    /// or a sum.
    package func passGradient(_ gradient: BufferID, to value: ValueID) throws(RengaError) {
        guard let target = try gradientTarget(value) else { return }
        let type = type(of: value)
        guard target.accumulate else {
            if records[gradient.index].type != type { return try convert(gradient, to: target.buffer) }
            return try copy(gradient, to: target.buffer, "backward copy")
        }
        let part = try converted(gradient, to: type, "d " + graph.name(of: value))
        let dst = pointer(target.buffer)
        let args = sum(of: [dst, pointer(part)], to: dst, elements: shape(value).count, type: type)
        try add(rk_sum, args, "backward add")
    }

    /// Multiplies a gradient, in place.
    package func scaleGradient(_ gradient: BufferID, by scale: Float) throws(RengaError) {
        let dst = pointer(gradient)
        let (count, type) = (elements(of: gradient), records[gradient.index].type)
        try add(rk_sum, sum(of: [dst], to: dst, elements: count, type: type, scale: scale), "backward scale")
    }
}
