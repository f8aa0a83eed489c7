// Activation.swift: the pointwise functions that imported networks use beside ReLU and PReLU: options and shape rule.
// Not here: how they run (kernels), rectifiers (ReLU.swift, PReLU.swift).

/// One function of each element by itself: dst = f(src). src, dst `[N,H,W,C]`. A NaN stays one.
public struct Activation {
    /// Which function. Names and numbers are those of ONNX and PyTorch.
    public enum Function: String, Sendable, CaseIterable {
        /// 1 / (1 + exp(-x)).
        case sigmoid
        /// tanh(x).
        case tanh
        /// x where x > 0, else alpha x.
        case leakyReLU = "leaky_relu"
        /// min(max(x, alpha), beta).
        case clip
        /// min(max(alpha x + beta, 0), 1).
        case hardSigmoid = "hard_sigmoid"
        /// x min(max(x / 6 + 1/2, 0), 1).
        case hardSwish = "hard_swish"
        /// x where x > 0, else alpha (exp(x) - 1).
        case elu
        /// log(1 + exp(x)).
        case softplus
        /// x / (1 + exp(-x)), also called swish.
        case silu

        /// What alpha and beta are where they are not given; functions that do not read one ignore it.
        public var defaults: (alpha: Double, beta: Double) {
            switch self {
            case .leakyReLU: (0.01, 0)
            case .clip: (-Activation.largestNumber, Activation.largestNumber)
            case .hardSigmoid: (0.2, 0.5)
            case .elu: (1, 0)
            case .sigmoid, .tanh, .hardSwish, .softplus, .silu: (0, 0)
            }
        }
    }

    /// Which function.
    public var function: Function
    /// Its first number: the slope or scale below 0, the least result, the slope of a hard sigmoid.
    public var alpha: Double
    /// Its second number: the largest result, the offset of a hard sigmoid.
    public var beta: Double

    /// How large alpha and beta may be: the largest float, which as a bound of a clip is none.
    public static let largestNumber = Double(Float.greatestFiniteMagnitude)

    /// Makes an activation; numbers out of bounds are errors of the shape rule.
    public init(_ function: Function, alpha: Double? = nil, beta: Double? = nil) {
        self.function = function
        self.alpha = alpha ?? function.defaults.alpha
        self.beta = beta ?? function.defaults.beta
    }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Activation: Operator {
    public static let name = "activation"
    public static let arity = Arity.exactly(1)
    public static let attributes = [
        AttributeSpec(
            "function", .choice(Function.allCases.map(\.rawValue)), default: nil, "What is made of each element."),
        AttributeSpec(
            "alpha", .number(numbers), default: nil,
            "Slope or scale below 0 (leaky_relu: 0.01, elu: 1), least result (clip: none), slope (hard_sigmoid: 0.2)."),
        AttributeSpec(
            "beta", .number(numbers), default: nil, "Largest result (clip: none), offset (hard_sigmoid: 0.5)."),
    ]
    private static let numbers = -largestNumber...largestNumber

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        function = Function(rawValue: try reader.choice("function")) ?? .sigmoid
        alpha = reader.isGiven("alpha") ? try reader.number("alpha") : function.defaults.alpha
        beta = reader.isGiven("beta") ? try reader.number("beta") : function.defaults.beta
    }

    public var encoded: Attributes {
        var attributes = ["function": function.rawValue]
        if alpha != function.defaults.alpha { attributes["alpha"] = "\(alpha)" }
        if beta != function.defaults.beta { attributes["beta"] = "\(beta)" }
        return attributes
    }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        try Self.check("alpha", alpha, in: Self.numbers)
        try Self.check("beta", beta, in: Self.numbers)
        return src
    }
}
