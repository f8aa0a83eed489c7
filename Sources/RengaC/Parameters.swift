// Parameters.swift: the numbers and the metadata of a network, one by one.
// Not here: whole networks (Network.swift).
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CRengaAPI
import Glibc
import Renga
import RengaNetwork

@c @implementation
public func renga_network_parameter_count(
    _ network: OpaquePointer?, _ out_count: UnsafeMutablePointer<Int64>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try zeroed(out_count, "out_count")
        out.pointee = Int64(try object(network, "network", as: NetworkObject.self).value.parameterNames.count)
    }
}

@c @implementation
public func renga_network_parameter_info(
    _ network: OpaquePointer?, _ index: Int64, _ out_name: UnsafeMutablePointer<UnsafePointer<CChar>?>?,
    _ out_dimensions: UnsafeMutablePointer<Int64>?, _ out_rank: UnsafeMutablePointer<Int32>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let name = try cleared(out_name, "out_name")
        let rank = try zeroed(out_rank, "out_rank")
        let dimensions = try required(out_dimensions, "out_dimensions")
        for axis in 0..<Int(RENGA_MAX_RANK) { dimensions[axis] = 0 }
        let network = try object(network, "network", as: NetworkObject.self)
        let value = network.value
        let names = value.parameterNames
        guard !names.isEmpty else { throw RengaError(.invalidArgument, "index: the network has no parameters") }
        let index = try number(index, "index", in: 0...names.count - 1)
        guard let extents = value.parameters[names[index]]?.tensor.dimensions, extents.count <= Int(RENGA_MAX_RANK)
        else {
            throw RengaError(.internalFault, "parameter '\(names[index])' has no dimensions that C could hold")
        }
        for (axis, extent) in extents.enumerated() { dimensions[axis] = Int64(extent) }
        rank.pointee = Int32(extents.count)
        name.pointee = network.parameterName(index)
    }
}

@c @implementation
public func renga_network_get_parameter(
    _ network: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ values: UnsafeMutablePointer<Float>?, _ count: Int
) -> renga_status {
    guarded { () throws(RengaError) in
        let value = try object(network, "network", as: NetworkObject.self).value
        let tensor = try parameter(value, try text(name, "name"), count: count)
        let values = try required(values, "values")
        tensor.withUnsafeValues { buffer in
            guard let base = buffer.baseAddress else { return }
            values.update(from: base, count: buffer.count)
        }
    }
}

@c @implementation
public func renga_network_set_parameter(
    _ network: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ values: UnsafePointer<Float>?, _ count: Int
) -> renga_status {
    guarded { () throws(RengaError) in
        let network = try object(network, "network", as: NetworkObject.self)
        let name = try text(name, "name")
        try network.change { (value) throws(RengaError) in
            let old = try parameter(value, name, count: count)
            let values = try required(values, "values")
            var tensor = try Tensor(dimensions: old.dimensions)
            tensor.withUnsafeMutableValues { buffer in
                for index in buffer.indices { buffer[index] = values[index] }
            }
            try value.setParameter(name, tensor)
        }
    }
}

/// The parameter of that name, if it has `count` elements.
private func parameter(_ network: Network, _ name: String, count: Int) throws(RengaError) -> Tensor {
    guard let parameter = network.parameters[name] else {
        throw RengaError(
            .notFound,
            "the network has no parameter '\(name.prefix(Int(RENGA_MAX_NAME)))'; it has \(network.parameters.count), "
                + "see renga_network_parameter_info")
    }
    guard count == parameter.tensor.count else {
        throw RengaError(
            .shapeMismatch,
            "parameter '\(name)' \(parameter.tensor.dimensions) has \(parameter.tensor.count) elements; "
                + "count is \(UInt(bitPattern: count))")
    }
    return parameter.tensor
}

// ---- metadata ----

@c @implementation
public func renga_network_get_metadata(
    _ network: OpaquePointer?, _ key: UnsafePointer<CChar>?,
    _ out_value: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try cleared(out_value, "out_value")
        let network = try object(network, "network", as: NetworkObject.self)
        guard let value = network.value.metadata[try text(key, "key")] else { return }
        out.pointee = try copied(value)
    }
}

@c @implementation
public func renga_network_set_metadata(
    _ network: OpaquePointer?, _ key: UnsafePointer<CChar>?, _ value: UnsafePointer<CChar>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let network = try object(network, "network", as: NetworkObject.self)
        let key = try text(key, "key")
        let value = try optionalText(value, "value")
        guard !key.isEmpty else { throw RengaError(.invalidArgument, "key is empty") }
        try network.change { (network) throws(RengaError) in network.metadata[key] = value }
    }
}

@c @implementation
public func renga_network_set_normalization(
    _ network: OpaquePointer?, _ mean: UnsafePointer<Float>?, _ scale: UnsafePointer<Float>?, _ channels: Int
) -> renga_status {
    guarded { () throws(RengaError) in
        let network = try object(network, "network", as: NetworkObject.self)
        guard channels != 0 || mean != nil || scale != nil else {
            return try network.change { (network) throws(RengaError) in try network.setNormalization(nil) }
        }
        let (mean, scale) = (try required(mean, "mean"), try required(scale, "scale"))
        try network.change { (network) throws(RengaError) in
            // Before anything of the arrays is read: a host that counts wrongly is told so.
            try network.checkNormalization(channels: channels)
            let numbers = [mean, scale].map { Array(UnsafeBufferPointer(start: $0, count: channels)) }
            try network.setNormalization(Normalization(mean: numbers[0], scale: numbers[1]))
        }
    }
}
