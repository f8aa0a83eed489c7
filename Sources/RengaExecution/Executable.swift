// Executable.swift: what an operator must say to run: what its step can take in, and the kernels of its forward and backward passes.
// Not here: the operators' own answers: one file each in Operators/, forward beside backward.
import RengaNetwork

/// What an operator's kernels can do besides the operator itself.
package struct Fusible: OptionSet, Sendable {
    /// The bits.
    package let rawValue: Int
    /// Makes a set.
    package init(rawValue: Int) { self.rawValue = rawValue }
    /// Add another value to the result.
    package static let add = Fusible(rawValue: 1)
    /// Add a value that is also the operator's own input.
    package static let addOfInput = Fusible(rawValue: 2)
    /// ReLU of the result.
    package static let relu = Fusible(rawValue: 4)
    /// PReLU of the result.
    package static let prelu = Fusible(rawValue: 8)
    /// A gate of stochastic depth on the result: no business of the kernels, but worth to skip.
    package static let gate = Fusible(rawValue: 16)
    /// The largest of each 2x2 pixels of the result.
    package static let pool = Fusible(rawValue: 32)
    /// Add a value of fewer channels to the first channels of the result: a zero-padded shortcut without its zeros.
    package static let addOfFewer = Fusible(rawValue: 64)
    /// Clip (ReLU6 is one) and hard swish of the result.
    package static let bounded = Fusible(rawValue: 128)
    /// Add the mean of two values.
    package static let addOfMean = Fusible(rawValue: 256)
}

/// An operator that plans can run.
///
/// Both passes are emitted twice, first to learn which buffers each step touches, then with their addresses: they must ask for the
/// same buffers and steps in the same order both times, and pointers are nil the first time.
package protocol Executable: Operator {
    /// What may follow it within its step.
    func fusible(_ purpose: Purpose) -> Fusible
    /// How a pass may run.
    func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality
    /// Adds what must stand before the band that a pass will be part of: packed weights.
    func prepare(_ step: FusedStep, _ emit: Emitter, backward: Bool) throws(RengaError)
    /// Adds the kernels that make `step.output` from `step.inputs` (and `step.add`).
    func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError)
    /// Adds the kernels that turn the gradient of `step.output` into those of the inputs, of `step.add` and of the parameters.
    func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError)
}

extension Executable {
    /// Most operators run alone.
    package func fusible(_ purpose: Purpose) -> Fusible { [] }
    /// An operator that says nothing sees all images at once.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality { .batch }
    /// Most operators need nothing.
    package func prepare(_ step: FusedStep, _ emit: Emitter, backward: Bool) throws(RengaError) {}
}

extension Node {
    /// The operator as one that runs.
    package func executable() throws(RengaError) -> any Executable {
        guard let op = op as? any Executable else {
            throw RengaError(.unsupported, "layer '\(name)': no kernels run the operator '\(op.name)'")
        }
        return op
    }
}
