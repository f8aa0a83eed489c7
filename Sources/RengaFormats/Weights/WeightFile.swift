// WeightFile.swift: the weights of a network in a safetensors file under the names of another program: PyTorch's state_dict, mostly.
// Not here: names and axes (WeightNames.swift), networks whole (NetworkFile.swift).
public import RengaNetwork

/// Weights in and out under other names.
public enum WeightFile {
    /// The network with all its parameters from the file, those aside that `names` lets stay.
    /// Errors: fileError, corruptData, outOfMemory; notFound where a tensor is missing or is no parameter; shapeMismatch where only extents
    /// differ (one sentence says which); those of `names`.
    public static func load(
        _ network: Network, from path: String, names: WeightNames
    ) throws(RengaError) -> Network {
        let places = try names.places(network)
        let file = try SafetensorsFile(path: path)
        var unused = file.tensors
        var (missing, wrong): ([String], [String]) = ([], [])
        var loaded = network
        for place in places {
            unused[place.theirs] = nil
            if place.stays { continue }
            guard let tensor = file.tensors[place.theirs] else {
                missing.append(place.theirs)
                continue
            }
            guard tensor.dimensions == place.axes.theirs else {
                wrong.append("\(place.theirs) \(tensor.dimensions), expected \(place.axes.theirs)")
                continue
            }
            // Nothing to load from a file that does not fit.
            if missing.isEmpty && wrong.isEmpty { try loaded.setParameter(place.ours, place.axes.imported(tensor)) }
        }
        let foreign = unused.keys.filter { !names.mayStandBeside($0) }.sorted()
        guard missing.isEmpty && wrong.isEmpty && foreign.isEmpty else {
            let parts = [
                list(missing, "missing"), list(foreign, "no parameter of it"), list(wrong, "of other extents"),
            ]
            throw RengaError(
                missing.isEmpty && foreign.isEmpty ? .shapeMismatch : .notFound,
                "'\(path)' does not fit the network: of \(file.tensors.count) tensors "
                    + parts.compactMap(\.self).joined(separator: "; "))
        }
        return loaded
    }

    /// Writes all parameters of the network, those aside that `names` lets stay, as ``SafetensorsFile/save(to:)`` does.
    /// Errors: fileError, outOfMemory; invalidArgument where two parameters would have the same name; those of `names`.
    public static func save(_ network: Network, to path: String, names: WeightNames) throws(RengaError) {
        var tensors: [String: Tensor] = [:]
        for place in try names.places(network) {
            guard !place.stays, let parameter = network.parameters[place.ours] else { continue }
            guard tensors.updateValue(try place.axes.exported(parameter.tensor), forKey: place.theirs) == nil else {
                throw RengaError(
                    .invalidArgument,
                    "two parameters would have the name '\(place.theirs)', '\(place.ours)' is one of them")
            }
        }
        // What the readers of PyTorch's files ask for.
        try SafetensorsFile(tensors: tensors, metadata: ["format": "pt"]).save(to: path)
    }

    /// "3 missing (a, b, c)": the first few by name; nil where there are none.
    private static func list(_ names: [String], _ what: String) -> String? {
        guard !names.isEmpty else { return nil }
        let shown = names.prefix(4).map { String($0.prefix(120)) }.joined(separator: ", ")
        return "\(names.count) \(what) (\(shown)\(names.count > 4 ? ", …" : ""))"
    }
}
