// OperatorInputs.swift: what shape rules ask of their inputs, said once.
// Not here: any one operator's rule.

extension Operator {
    /// The input of an operator that takes one.
    static func single(_ inputs: [Shape]) throws(RengaError) -> Shape {
        guard inputs.count == 1 else {
            throw RengaError(.invalidArgument, "\(name): expected 1 input, got \(inputs.count)")
        }
        return try inputs[0].validated("input")
    }

    /// The shape that all inputs of an elementwise operator share.
    static func common(_ inputs: [Shape]) throws(RengaError) -> Shape {
        guard let first = inputs.first else {
            throw RengaError(.invalidArgument, "\(name): expected \(arity.words) inputs, got none")
        }
        for (index, shape) in inputs.enumerated() where shape != first {
            throw RengaError(
                .shapeMismatch, "input \(index) is \(shape), input 0 is \(first); all must have the same shape")
        }
        return try first.validated("input")
    }

    /// Checks an attribute of an operator made in code as the reader checks one made from text.
    static func check(_ attribute: String, _ value: Int, in bounds: ClosedRange<Int>) throws(RengaError) {
        guard bounds.contains(value) else {
            throw RengaError(
                .invalidArgument,
                "\(name): option '\(attribute)' must be a whole number in "
                    + "\(bounds.lowerBound)...\(bounds.upperBound), got \(value)")
        }
    }

    /// The same for an attribute that is a number; NaN is out of bounds.
    static func check(_ attribute: String, _ value: Double, in bounds: ClosedRange<Double>) throws(RengaError) {
        guard bounds.contains(value) else {
            throw RengaError(
                .invalidArgument,
                "\(name): option '\(attribute)' must be a number in \(bounds.lowerBound)...\(bounds.upperBound), got \(value)"
            )
        }
    }
}
