// OperatorTable.swift: every operator by name: the one place where a new operator is made known.
// Not here: the operators, and which kernels run them (RengaExecution has a table of its own).

/// The operators that networks are made of. A compile-time table: a static linker cannot drop an entry.
public enum OperatorTable {
    /// All operators, in the order in which they are listed to people.
    public static let all: [any Operator.Type] = [
        Convolution.self, ConvolutionTranspose.self, Linear.self, BatchNorm.self, LocalResponseNorm.self, Scale.self,
        ReLU.self, PReLU.self, Activation.self, MaxPool.self, AveragePool.self, GlobalAveragePool.self,
        GlobalMaxPool.self, Resize.self, Add.self, Mean.self, WeightedSum.self, Arithmetic.self, Concat.self,
        ChannelSlice.self, Slice.self, ChannelPad.self, Pad.self, Flatten.self, Dropout.self, StochasticGate.self,
        Softmax.self,
    ]

    /// The operator of that name.
    /// Errors: `notFound`, the sentence lists the known names.
    public static func type(named name: String) throws(RengaError) -> any Operator.Type {
        guard let type = all.first(where: { $0.name == name }) else {
            throw RengaError(
                .notFound,
                "unknown operator '\(name.prefix(80))'; known: \(all.map { $0.name }.joined(separator: ", "))")
        }
        return type
    }

    /// Makes an operator from its name and attributes.
    public static func make(_ name: String, _ attributes: Attributes) throws(RengaError) -> any Operator {
        try type(named: name).init(attributes: attributes)
    }
}
