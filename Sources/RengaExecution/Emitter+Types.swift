// Emitter+Types.swift: steps that read or make values of another element type than their own: converted copies on the way in and out.
// Not here: which type a value has (ValueTypes).
import CRengaKernels
import RengaNetwork

extension Emitter {
    /// The element type of a value and of its gradient.
    package func type(of value: ValueID) -> rk_type { types[value] }

    /// What a step computes in: the type of what it makes.
    package func type(of step: FusedStep) -> rk_type { types[step.output] }

    /// The buffer of a value as `step` reads it: itself, or a copy in the step's type. To be asked for before the step's first pointer:
    /// the copy is a step of its own. Each reader has its own copy, so that it lives shortly and no reader depends on another one's step.
    package func input(_ value: ValueID, of step: FusedStep) throws(RengaError) -> BufferID {
        try converted(try self.value(value), to: type(of: step), graph.name(of: value))
    }

    /// Where `step` puts its part of the gradient of `value`, in the step's type; nil where nobody needs it. Where the value has another
    /// type, ``settleGradients()`` brings it home.
    package func gradientTarget(_ value: ValueID, of step: FusedStep) throws(RengaError) -> GradientTarget? {
        guard needsGradient.contains(value), type(of: value) != type(of: step) else { return try gradientTarget(value) }
        if let known = names.unsettled[value] { return GradientTarget(buffer: known, accumulate: true) }
        let made = try map("d " + graph.name(of: value), like: value, type: type(of: step))
        names.unsettled[value] = made
        return GradientTarget(buffer: made, accumulate: false)
    }

    /// Gives gradients that the step before made in another type to their values.
    func settleGradients() throws(RengaError) {
        for (value, gradient) in names.unsettled.sorted(by: { $0.key < $1.key }) {
            try passGradient(gradient, to: value)
        }
        names.unsettled = [:]
    }

    /// The same elements in another type, by a step of its own; the buffer itself where it has that type.
    func converted(_ buffer: BufferID, to type: rk_type, _ name: String) throws(RengaError) -> BufferID {
        guard records[buffer.index].type != type else { return buffer }
        guard !isPreparing else { throw RengaError(.internalFault, "'\(name)' is converted within another step") }
        let record = records[buffer.index]
        let made = try self.buffer(
            "\(name):converted", elements: record.bytes / record.type.bytes, type: type, record.extent)
        try convert(buffer, to: made)
        return made
    }

    /// Adds a step that copies a buffer's elements to one of another type.
    func convert(_ old: BufferID, to new: BufferID) throws(RengaError) {
        var args = rk_convert_args()
        (args.isa, args.count) = (isa, Int64(elements(of: old)))
        (args.src_type, args.src) = (records[old.index].type, UnsafeRawPointer(pointer(old)))
        (args.dst_type, args.dst) = (records[new.index].type, pointer(new))
        try add(rk_convert, args, "convert")
    }
}
