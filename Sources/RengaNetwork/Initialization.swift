// Initialization.swift: rules for the first values of parameters. Each parameter draws from a stream of its own, named after it:
// a layer more, or a renamed one, changes no other layer's values.
// Not here: which rule an architecture prefers (it says so itself).

/// How the values of one parameter begin.
public enum InitialValues: Sendable, Equatable {
    /// All the same.
    case constant(Float)
    /// Normal with variance 2 / fan-in (He et al. 2015); fan-in is R S C/G, or C.
    case heFanIn
    /// Normal with variance 2 / fan-out (He et al. 2015); fan-out is R S K, or K.
    case heFanOut
    /// He fan-out for the outputs before `at` and for those from it on, each as if they were a layer of their own.
    case heFanOutHalves(at: Int)
    /// Orthonormal rows or columns (the fewer) of the fan-in x K matrix, times a gain (Saxe et al. 2013).
    /// Takes 2 min(m, n)^2 max(m, n) multiply-adds for an m x n matrix.
    case orthogonal(gain: Double)
    /// Uniform within ± 1 / sqrt(fan-in), PyTorch's default; a bias takes the fan-in of its weight.
    case uniformFanIn
    /// Uniform within ± the limit.
    case uniform(limit: Double)
    /// Normal with this standard deviation.
    case normal(deviation: Double)
}

/// How all the parameters of a network begin.
public struct Initialization: Sendable, Equatable {
    /// Of convolutions' weights.
    public var convolution: InitialValues
    /// Of linear layers' weights.
    public var linear: InitialValues
    /// Of biases of convolutions and linear layers.
    public var bias: InitialValues
    /// Of PReLU's slopes.
    public var slope: InitialValues
    /// Of single parameters by full name ("layer.gamma"); each must exist.
    public var overrides: [String: InitialValues]

    /// Sets the rules; gamma and running variance begin at 1, beta and running mean at 0.
    public init(
        convolution: InitialValues, linear: InitialValues, bias: InitialValues = .constant(0),
        slope: InitialValues = .constant(0.25), overrides: [String: InitialValues] = [:]
    ) {
        self.convolution = convolution
        self.linear = linear
        self.bias = bias
        self.slope = slope
        self.overrides = overrides
    }

    /// He fan-in for all weights, zero biases.
    public static let heFanIn = Initialization(convolution: .heFanIn, linear: .heFanIn)
    /// He fan-out for all weights, zero biases.
    public static let heFanOut = Initialization(convolution: .heFanOut, linear: .heFanOut)
    /// Orthogonal weights with the gain sqrt(2) of a rectifier, zero biases.
    public static let orthogonal = Initialization(
        convolution: .orthogonal(gain: 2.0.squareRoot()), linear: .orthogonal(gain: 1))
    /// PyTorch's default: weights and biases uniform within ± 1 / sqrt(fan-in).
    public static let uniform = Initialization(
        convolution: .uniformFanIn, linear: .uniformFanIn, bias: .uniformFanIn)

    /// The rules above by the names that options and `renga.h` use.
    public static let named: [(name: String, rule: Initialization)] = [
        ("he_fan_in", heFanIn), ("he_fan_out", heFanOut), ("orthogonal", orthogonal), ("uniform", uniform),
    ]

    /// Finds a rule by name.
    /// Errors: `notFound`, the sentence lists the known names.
    public init(named name: String) throws(RengaError) {
        guard let entry = Self.named.first(where: { $0.name == name }) else {
            throw RengaError(
                .notFound,
                "unknown initialization '\(name.prefix(80))'; known: "
                    + Self.named.map(\.name).joined(separator: ", "))
        }
        self = entry.rule
    }
}

// MARK: - Values

extension Initialization {
    /// The first values of the parameter `fullName`, one of its layer's `siblings`.
    func values(
        of spec: ParameterSpec, fullName: String, siblings: [ParameterSpec], seed: UInt64
    ) throws(RengaError) -> Tensor {
        var tensor = try Tensor(dimensions: spec.dimensions)
        let weight = siblings.first { $0.role == .weight } ?? spec
        let fanIn = weight.dimensions.dropLast().saturatingProduct
        let stream = RandomStream(
            seed: seed, purpose: .initialisation, stream: RandomStream.stream(named: fullName))
        switch overrides[fullName] ?? rule(for: spec) {
        case .constant(let value): tensor.fill(value)
        case .heFanIn: tensor.fillNormal(deviation: (2 / Double(fanIn)).squareRoot(), stream)
        case .heFanOut:
            tensor.fillNormal(deviation: (2 / Double(Self.fanOut(weight))).squareRoot(), stream)
        case .heFanOutHalves(let boundary):
            let outputs = spec.dimensions.last ?? 1
            let fanOut = Double(Self.fanOut(weight)) / Double(outputs)
            let halves = [boundary, outputs - boundary].map { (2 / (fanOut * Double(max($0, 1)))).squareRoot() }
            tensor.fillNormal(stream) { $0 % outputs < boundary ? halves[0] : halves[1] }
        case .orthogonal(let gain):
            let columns = spec.dimensions.last ?? 1
            try tensor.fillOrthogonal(rows: tensor.count / max(columns, 1), columns: columns, gain: gain, stream)
        case .uniformFanIn: tensor.fillUniform(limit: 1 / Double(fanIn).squareRoot(), stream)
        case .uniform(let limit): tensor.fillUniform(limit: limit, stream)
        case .normal(let deviation): tensor.fillNormal(deviation: deviation, stream)
        }
        return tensor
    }

    /// R S K of `[R,S,C,K]`, K of `[C,K]`.
    private static func fanOut(_ weight: ParameterSpec) -> Int {
        weight.dimensions.enumerated().filter { $0.offset != weight.dimensions.count - 2 }.map(\.element)
            .saturatingProduct
    }

    private func rule(for spec: ParameterSpec) -> InitialValues {
        switch spec.role {
        case .weight: spec.dimensions.count == 2 ? linear : convolution
        case .bias: bias
        case .gamma, .runningVariance: .constant(1)
        case .beta, .runningMean: .constant(0)
        case .slope: slope
        }
    }
}

extension Tensor {
    fileprivate mutating func fill(_ value: Float) {
        withUnsafeMutableValues { $0.update(repeating: value) }
    }

    fileprivate mutating func fillNormal(deviation: Double, _ stream: RandomStream) {
        fillNormal(stream) { _ in deviation }
    }

    fileprivate mutating func fillNormal(_ stream: RandomStream, deviation: (Int) -> Double) {
        var stream = stream
        withUnsafeMutableValues { dst in
            for index in dst.indices { dst[index] = Float(deviation(index) * stream.normal()) }
        }
    }

    fileprivate mutating func fillUniform(limit: Double, _ stream: RandomStream) {
        var stream = stream
        withUnsafeMutableValues { dst in
            for index in dst.indices { dst[index] = Float(limit * (2 * stream.openUniform() - 1)) }
        }
    }
}
