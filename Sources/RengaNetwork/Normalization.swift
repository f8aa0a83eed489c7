// Normalization.swift: how u8 pixels become a network's numbers, and its text in the network's metadata.
// Not here: measuring it on a set of images (RengaData), applying it (kernels).

/// Per-channel normalisation of u8 images: the network sees (pixel - mean[c]) * scale[c]. f32 images are taken as they are.
public struct Normalization: Equatable, Sendable {
    /// Subtracted from each pixel of channel c, in units of the pixels (0 … 255). `[C]`
    public let mean: [Float]
    /// Multiplies the difference. `[C]`
    public let scale: [Float]

    /// The metadata key of a network that carries one.
    public static let metadataKey = "renga.normalization"

    /// Checks that both have the same number of channels, at least one, and only finite numbers.
    public init(mean: [Float], scale: [Float]) throws(RengaError) {
        guard !mean.isEmpty, mean.count == scale.count else {
            throw RengaError(
                .shapeMismatch,
                "a normalisation needs as many means as scales, at least one; got \(mean.count) and \(scale.count)")
        }
        guard mean.allSatisfy(\.isFinite), scale.allSatisfy(\.isFinite) else {
            throw RengaError(.notFinite, "the means and scales of a normalisation must be finite")
        }
        self.mean = mean
        self.scale = scale
    }

    /// `{"mean":[…],"scale":[…]}`; each number in its shortest form that reads back exactly.
    public var json: String {
        let lists = [mean, scale].map { list in list.map { "\($0)" }.joined(separator: ",") }
        return "{\"mean\":[\(lists[0])],\"scale\":[\(lists[1])]}"
    }

    /// Reads ``json``.
    /// Errors: corruptData where the text is anything else.
    public init(json: String) throws(RengaError) {
        let document = try JSON(parsing: json)
        guard document.members?.count == 2, let mean = Self.numbers(document["mean"]),
            let scale = Self.numbers(document["scale"])
        else {
            throw RengaError(
                .corruptData,
                "normalisation: expected {\"mean\":[numbers],\"scale\":[numbers]}, got '\(json.prefix(200))'")
        }
        try self.init(mean: mean, scale: scale)
    }

    private static func numbers(_ list: JSON?) -> [Float]? {
        guard let elements = list?.listValue else { return nil }
        let numbers = elements.compactMap(\.numberValue)
        return numbers.count == elements.count ? numbers.map { Float($0) } : nil
    }
}

extension Network {
    /// The normalisation of u8 images that this network carries in its metadata, or nil; an error where the text there is not one.
    public func normalization() throws(RengaError) -> Normalization? {
        guard let text = metadata[Normalization.metadataKey] else { return nil }
        return try Normalization(json: text)
    }

    /// Sets the metadata that carries it; nil removes it. Errors: shapeMismatch (an input of other channels).
    public mutating func setNormalization(_ normalization: Normalization?) throws(RengaError) {
        if let normalization { try checkNormalization(channels: normalization.mean.count) }
        metadata[Normalization.metadataKey] = normalization?.json
    }

    /// Errors: shapeMismatch where an input has other channels.
    package func checkNormalization(channels: Int) throws(RengaError) {
        for input in inputs where input.c != channels {
            throw RengaError(
                .shapeMismatch,
                "the network's normalisation has \(UInt(bitPattern: channels)) channels, its input '\(input.name)' "
                    + "\(input.c)")
        }
    }
}
